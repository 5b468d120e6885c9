"""The sum of all points in each row of the volume: depth probability times context (bevdetocc_gf.md §4)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.lift import cpu, reference
from gdfusion_ros.model.ops.voxel_index import VoxelIndex


def lift(distribution: Tensor, context: Tensor, index: VoxelIndex) -> Tensor:
    """(rows, C) sums, always in the same order; rows without points 0.

    Args:
        distribution: (N, D, h, w) depth distribution.
        context: (N, C, h, w).
        index: which points lie in which row.
    """
    return select(reference.lift, cpu.lift, distribution, context)(distribution, context, index)
