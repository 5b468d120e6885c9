"""Where the voxels of the current grid lie in the previous one (paper equation 4; bevdetocc_gf.md §5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.small_matrices import affine_inverse, inverse, product
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Previous


def index_transform(grid: VoxelGrid, previous_ego_from_ego: Tensor, bda: Tensor, previous_bda: Tensor) -> Tensor:
    """Voxel index now -> voxel index in the previous grid: F^-1 A_prev T A^-1 F, (4, 4) float32.

    An index stands for the voxel's lower corner, not its centre [QUIRK 6]. Products in float64.

    Args:
        grid: the grid, the same in both frames.
        previous_ego_from_ego: (4, 4) T.
        bda: (3, 3) ego augmentation A of the current frame,
        previous_bda: and of the previous one.
    """
    metres = _metres(grid)
    return product(
        affine_inverse(metres),
        _homogeneous(previous_bda),
        previous_ego_from_ego.double(),
        _homogeneous(inverse(bda.double())),
        metres,
    ).float()


def plane_transform(grid: VoxelGrid, previous_ego_from_ego: Tensor, bda: Tensor, previous_bda: Tensor) -> Tensor:
    """The same for a map of the ground plan, whose cells stand for points 1 m above the ground (alocc.md §9.6).

    Their third coordinate is 1 where they are taken from, and 0 where they are looked for [QUIRK]: a map lies there as
    a volume of one layer.
    """
    (x, y, _), (dx, dy, _) = grid.lower, grid.voxel_size
    metres_high = VoxelGrid((x, y, 0.0), (dx, dy, 1.0), grid.shape)
    transform = index_transform(metres_high, previous_ego_from_ego, bda, previous_bda)
    height = transform[:, 2].clone()
    transform[:, 2] = 0
    transform[:, 3] += height
    transform[2] = 0
    return transform


def history_alignment(
    transform: Callable[[VoxelGrid, Tensor, Tensor, Tensor], Tensor],
    grid: VoxelGrid,
    calibration: Calibration,
    previous: Previous | None,
) -> Tensor:
    """(4, 4) voxel index now -> in the previous grid by ``transform``, one of the above; the identity at a start."""
    if previous is None:
        return torch.eye(4)
    return transform(grid, previous.ego_from_ego, calibration.bda, previous.calibration.bda)


@cache
@torch.inference_mode(False)
def _metres(grid: VoxelGrid) -> Tensor:
    """F: voxel index -> metres, (4, 4) float64."""
    metres = torch.diag(torch.tensor([*grid.voxel_size, 1.0], dtype=torch.float64))
    metres[:3, 3] = torch.tensor(grid.lower, dtype=torch.float64)
    return metres


def _homogeneous(rotation: Tensor) -> Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = rotation
    return matrix
