"""The sum in one compiled pass over the rows: each is written once."""

from __future__ import annotations

import numba
import torch
from torch import Tensor

from gdfusion_ros.model.ops.compiled import ZERO, Floats, Ints, channels_last, kernel, share_threads
from gdfusion_ros.model.ops.voxel_index import VoxelIndex


def lift(distribution: Tensor, context: Tensor, index: VoxelIndex) -> Tensor:
    """See ``gdfusion_ros.model.ops.lift.lift``."""
    share_threads()
    sums = torch.empty(len(index.starts) - 1, context.shape[1])
    _lift(channels_last(distribution), channels_last(context), index.points.numpy(), index.starts.numpy(), sums.numpy())
    return sums


@kernel
def _lift(distribution: Floats, context: Floats, points: Ints, starts: Ints, sums: Floats) -> None:
    bins, channels = distribution.shape[3], context.shape[3]
    weights, features = distribution.reshape(-1), context.reshape(-1, channels)
    for r in numba.prange(len(sums)):
        for c in range(channels):
            sums[r, c] = ZERO
        for i in range(starts[r], starts[r + 1]):
            weight, cell = weights[points[i]], points[i] // bins
            for c in range(channels):
                sums[r, c] += weight * features[cell, c]
