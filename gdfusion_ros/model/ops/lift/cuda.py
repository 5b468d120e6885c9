"""The sum in one Triton kernel over the rows: each is written once, its points in order."""

from __future__ import annotations

import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.ops.triton_parts import channels_last, kernel, launch, padded
from gdfusion_ros.model.ops.voxel_index import VoxelIndex

BLOCK = 16


def lift(distribution: Tensor, context: Tensor, index: VoxelIndex) -> Tensor:
    """See ``gdfusion_ros.model.ops.lift.lift``."""
    rows, channels = len(index.starts) - 1, context.shape[1]
    sums = context.new_empty(rows, channels)
    launch(
        _lift,
        rows,
        BLOCK,
        channels_last(distribution),
        channels_last(context),
        index.points,
        index.starts,
        sums,
        distribution.shape[1],
        channels=channels,
        width=padded(channels),
    )
    return sums


@kernel
def _lift(
    weights: tl.tensor,
    features: tl.tensor,
    points: tl.tensor,
    starts: tl.tensor,
    sums: tl.tensor,
    bins: int,
    rows: int,
    channels: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    r, c = tl.program_id(0) * block + tl.arange(0, block), tl.arange(0, width)
    known, channel = r < rows, (c < channels)[None, :]
    first = tl.load(starts + r, known, 0)
    count = tl.load(starts + r + 1, known, 0) - first
    total = tl.zeros((block, width), tl.float32)
    for i in range(tl.max(count, 0)):
        here = i < count
        point = tl.load(points + first + i, here, 0)
        weight = tl.load(weights + point, here, 0.0)
        total += weight[:, None] * tl.load(
            features + (point // bins)[:, None] * channels + c[None, :], here[:, None] & channel, 0.0
        )
    tl.store(sums + r[:, None] * channels + c[None, :], total, known[:, None] & channel)
