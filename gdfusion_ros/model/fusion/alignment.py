"""Where the voxels of the current grid lie in the previous one (paper equation 4; spec section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.small_matrices import affine_inverse, inverse, product


def index_transform(grid: VoxelGrid, previous_ego_from_ego: Tensor, bda: Tensor, previous_bda: Tensor) -> Tensor:
    """Voxel index now -> voxel index in the previous grid: F^-1 A_prev T A^-1 F, (4, 4) float32.

    An index stands for the voxel's lower corner, not its centre [QUIRK 6]. Products in float64.

    Args:
        grid: the grid, the same in both frames.
        previous_ego_from_ego: (4, 4) T.
        bda: (3, 3) ego augmentation A of the current frame,
        previous_bda: and of the previous one.
    """
    metres = torch.diag(torch.tensor([*grid.voxel_size, 1.0], dtype=torch.float64))
    metres[:3, 3] = torch.tensor(grid.lower, dtype=torch.float64)
    return product(affine_inverse(metres), _homogeneous(previous_bda), previous_ego_from_ego.double(),
                   _homogeneous(inverse(bda.double())), metres).float()


def sampled_positions(offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """R p + M: (Y X Z, 3) positions in the previous grid along x, y, z [voxels]; ``size`` is (Y, X, Z).

    The offset is added after the rigid transform (the paper's equation 4 adds it before) [DIFF 5].
    """
    device = previous_from_current.device if offsets is None else offsets.device
    y, x, z = torch.meshgrid(*(torch.arange(n, dtype=torch.float32, device=device) for n in size), indexing='ij')
    r = previous_from_current.to(device, non_blocking=True)
    axes = [((r[a, 0] * x + r[a, 1] * y) + r[a, 2] * z) + r[a, 3] for a in range(3)]
    positions = torch.stack(axes, -1).view(-1, 3)
    return positions if offsets is None else positions + offsets


def _homogeneous(rotation: Tensor) -> Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = rotation
    return matrix
