"""One gradient step of the motion field towards the warped one of the last frame (paper equations 14 to 17)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.motion_step import cpu, reference
from gdfusion_ros.model.ops.motion_step.reference import LIMIT

__all__ = ['LIMIT', 'motion_step']


def motion_step(
    offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...], axes: int = 3
) -> Tensor:
    """M - eta_m * gradient of the loss, in closed form, without a gradient of its own: (Y X Z, 3).

    Args:
        offsets: (Y X Z, 3) M along x, y, z [voxels].
        history: (Y X Z, 3) H_m of the last frame.
        previous_from_current: (4, 4) voxel index (x, y, z, 1) now -> index in the previous grid.
        size: (Y, X, Z).
        axes: along which anything moves; the loss is their mean. With 2, Z is 1 and nothing moves along it.
    """
    step = select(reference.motion_step, cpu.motion_step, offsets, history)
    return step(offsets, history, previous_from_current, size, axes)
