"""The sum as a graph for other runtimes: nothing is sorted, and points that lie nowhere are added to no row."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.scatter import summed_by_row
from gdfusion_ros.model.ops.voxel_index import PointRows


def lift(distribution: Tensor, context: Tensor, index: PointRows) -> Tensor:
    """See ``gdfusion_ros.model.ops.lift.lift``."""
    lifted = distribution.permute(0, 2, 3, 1)[..., None] * context.permute(0, 2, 3, 1)[..., None, :]
    return summed_by_row(lifted.flatten(0, 3), index.rows.flatten(), index.count)
