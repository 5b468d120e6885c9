"""Deformable attention in one compiled pass over the queries."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.model.ops.compiled import ONE, ZERO, Float, Floats, Ints, inlined, kernel, share_threads
from gdfusion_ros.model.ops.deformable_attention.reference import Views


def deformable_attention(values: Tensor, offsets: Tensor, weights: Tensor, views: Views, gains: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.deformable_attention.deformable_attention``."""
    share_threads()
    sums = torch.empty(len(offsets), values.shape[-1])
    _attend(
        values.contiguous().numpy(),
        offsets.contiguous().numpy(),
        weights.contiguous().numpy(),
        views.starts.numpy(),
        views.images.numpy(),
        views.anchors.numpy(),
        gains.contiguous().numpy(),
        sums.numpy(),
    )
    return sums


@inlined
def _add_sample(values: Floats, x: Float, y: Float, weight: Float, first: int, sums: Floats) -> None:
    """Adds one bilinear sample of the channels of ``sums``, which begin at ``first``."""
    height, width = values.shape[:2]
    if not (x > -ONE and y > -ONE and x < Float(width) and y < Float(height)):
        return
    column, row = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - Float(column), y - Float(row)
    for corner in range(4):
        i, j = column + (corner & 1), row + (corner >> 1)
        if 0 <= i < width and 0 <= j < height:
            share = (fx if corner & 1 else ONE - fx) * (fy if corner & 2 else ONE - fy) * weight
            for c in range(len(sums)):
                sums[c] += share * values[j, i, first + c]


@kernel
def _attend(
    values: Floats,
    offsets: Floats,
    weights: Floats,
    starts: Ints,
    images: Ints,
    anchors: Floats,
    gains: Floats,
    sums: Floats,
) -> None:
    heads, points, around = weights.shape[1], weights.shape[2], gains.shape[1]
    channels = values.shape[3] // heads
    for q in numba.prange(len(sums)):
        sums[q] = ZERO
        for view in range(starts[q], starts[q + 1]):
            for head in range(heads):
                first = head * channels
                for p in range(points):
                    x = anchors[view, p % around, 0] + offsets[q, head, p, 0]
                    y = anchors[view, p % around, 1] + offsets[q, head, p, 1]
                    weight = weights[q, head, p] * gains[view, p % around]
                    _add_sample(values[images[view]], x, y, weight, first, sums[q, first : first + channels])
        count = starts[q + 1] - starts[q]
        if count > 1:
            sums[q] /= Float(count)
