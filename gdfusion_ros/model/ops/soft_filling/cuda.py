"""Soft filling in one Triton kernel over the voxels for each set of points: each gathers from the points round it."""

from __future__ import annotations

from collections.abc import Sequence

import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.ops.soft_filling.reference import PlacedPoints
from gdfusion_ros.model.ops.triton_parts import channels_last, kernel, launch, padded

BLOCK = 16


def soft_filling(
    context: Tensor, shape: tuple[int, int, int], filling: Sequence[tuple[Tensor, PlacedPoints]]
) -> Tensor:
    """See ``gdfusion_ros.model.ops.soft_filling.soft_filling``."""
    voxels, channels = shape[0] * shape[1] * shape[2], context.shape[1]
    features, sums = channels_last(context), context.new_empty(voxels, channels)
    for index, (weights, placed) in enumerate(filling):
        launch(
            _fill,
            voxels,
            BLOCK,
            features,
            channels_last(weights),
            placed.places.contiguous(),
            placed.points,
            placed.starts,
            sums,
            weights.shape[1],
            shape[0],
            shape[2],
            channels=channels,
            width=padded(channels),
            adds=index > 0,
        )
    return sums


@kernel
def _along(places: tl.tensor, here: tl.tensor, upper: tl.tensor) -> tl.tensor:
    """The share of the lower or the upper one of the two voxels that a point lies between along an axis."""
    place = tl.load(places, here, 0.0)
    fraction = place - tl.floor(place)
    return tl.where(upper > 0, fraction, 1 - fraction)


@kernel
def _fill(
    context: tl.tensor,
    weights: tl.tensor,
    places: tl.tensor,
    points: tl.tensor,
    starts: tl.tensor,
    sums: tl.tensor,
    bins: int,
    nx: int,
    nz: int,
    voxels: int,
    channels: tl.constexpr,
    width: tl.constexpr,
    adds: tl.constexpr,
    block: tl.constexpr,
) -> None:
    v, c = tl.program_id(0) * block + tl.arange(0, block), tl.arange(0, width)
    x, y, z = v // nz % nx, v // nz // nx, v % nz
    known, channel = v < voxels, (c < channels)[None, :]
    place_of, written = v[:, None] * channels + c[None, :], known[:, None] & channel
    total = tl.zeros((block, width), tl.float32)
    if adds:
        total = tl.load(sums + place_of, written, 0.0)
    for corner in range(8):
        dx, dy, dz = corner >> 2, corner >> 1 & 1, corner & 1
        lowest = ((y + 1 - dy) * (nx + 1) + x + 1 - dx) * (nz + 1) + z + 1 - dz
        first = tl.load(starts + lowest, known, 0)
        count = tl.load(starts + lowest + 1, known, 0) - first
        for i in range(tl.max(count, 0)):
            here = i < count
            point = tl.load(points + first + i, here, 0)
            share = (
                _along(places + 3 * point, here, dx)
                * _along(places + 3 * point + 1, here, dy)
                * _along(places + 3 * point + 2, here, dz)
            )
            weight = tl.load(weights + point, here, 0.0) * share
            total += weight[:, None] * tl.load(
                context + (point // bins)[:, None] * channels + c[None, :], here[:, None] & channel, 0.0
            )
    tl.store(sums + place_of, total, written)
