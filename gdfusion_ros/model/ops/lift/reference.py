"""The sum in plain torch, on any device, differentiable."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.ops.voxel_index import VoxelIndex


def lift(distribution: Tensor, context: Tensor, index: VoxelIndex) -> Tensor:
    """See ``gdfusion_ros.model.ops.lift.lift``."""
    bins = distribution.shape[1]
    features = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
    weights = distribution.permute(0, 2, 3, 1).flatten()[index.points]
    return F.embedding_bag(
        index.points // bins, features, index.starts, mode='sum', per_sample_weights=weights, include_last_offset=True
    )
