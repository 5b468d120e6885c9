"""The previous volume, sampled where the current voxels lie in it (paper equation 4; bevdetocc_gf.md §5)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.warp import cpu, reference


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """Trilinear samples at R p + M, zero outside: (Y X Z, C).

    Args:
        field: (Y X Z, C) rows of the previous volume.
        offsets: (Y X Z, 3) M along x, y, z [voxels]; None: nothing moves.
        previous_from_current: (4, 4) voxel index (x, y, z, 1) now -> index in the previous grid.
        size: (Y, X, Z).
    """
    return select(reference.warp, cpu.warp, field)(field, offsets, previous_from_current, size)
