"""Deformable attention in one Triton kernel over the queries, a head a program."""

from __future__ import annotations

import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.ops.deformable_attention.reference import Views
from gdfusion_ros.model.ops.triton_parts import divided, kernel, launch, padded

BLOCK = 32


def deformable_attention(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.deformable_attention.deformable_attention``."""
    (_, height, width, channels), (queries, heads, points) = values.shape, weights.shape
    sums = values.new_empty(queries, channels)
    launch(
        _attend,
        queries * heads,
        BLOCK,
        values.contiguous(),
        offsets.contiguous(),
        weights.contiguous(),
        views.starts,
        views.images,
        views.anchors.contiguous(),
        gains.contiguous(),
        sums,
        height,
        width,
        points,
        gains.shape[1],
        heads=heads,
        channels=channels // heads,
        padded=padded(channels // heads),
    )
    return sums


@kernel
def _attend(
    values: tl.tensor,
    offsets: tl.tensor,
    weights: tl.tensor,
    starts: tl.tensor,
    images: tl.tensor,
    anchors: tl.tensor,
    gains: tl.tensor,
    sums: tl.tensor,
    height: int,
    width: int,
    points: int,
    around: int,
    asked: int,
    heads: tl.constexpr,
    channels: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
) -> None:
    asking, c = tl.program_id(0) * block + tl.arange(0, block), tl.arange(0, padded)
    query, head = asking // heads, asking % heads
    known, channel = asking < asked, (c < channels)[None, :]
    first = tl.load(starts + query, known, 0)
    count = tl.load(starts + query + 1, known, 0) - first
    total = tl.zeros((block, padded), tl.float32)
    for v in range(tl.max(count, 0)):
        here, view = v < count, first + v
        image = tl.load(images + view, here, 0)
        for p in range(points):
            anchor, point = view * around + p % around, asking * points + p
            x = tl.load(anchors + 2 * anchor, here, 0.0) + tl.load(offsets + 2 * point, known, 0.0)
            y = tl.load(anchors + 2 * anchor + 1, here, 0.0) + tl.load(offsets + 2 * point + 1, known, 0.0)
            weight = tl.load(weights + point, known, 0.0) * tl.load(gains + anchor, here, 0.0)
            seen = here & (x > -1) & (y > -1) & (x < width) & (y < height)
            x, y = tl.where(seen, x, 0.0), tl.where(seen, y, 0.0)
            column, line = tl.floor(x), tl.floor(y)
            for corner in range(4):
                dx, dy = corner & 1, corner >> 1
                i, j = column.to(tl.int32) + dx, line.to(tl.int32) + dy
                there = seen & (i >= 0) & (i < width) & (j >= 0) & (j < height)
                share = (
                    tl.where(dx > 0, x - column, 1 - (x - column)) * tl.where(dy > 0, y - line, 1 - (y - line)) * weight
                )
                cell = ((image * height + j) * width + i) * heads + head
                total += share[:, None] * tl.load(
                    values + cell[:, None] * channels + c[None, :], there[:, None] & channel, 0.0
                )
    mean = divided(total, tl.maximum(count, 1).to(tl.float32)[:, None])
    tl.store(sums + asking[:, None] * channels + c[None, :], mean, known[:, None] & channel)
