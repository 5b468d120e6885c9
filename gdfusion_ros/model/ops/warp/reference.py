"""The warp in plain torch, on any device, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of
from gdfusion_ros.model.layers.volume import rows, volume_of


def warp(field: Tensor, offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """See ``gdfusion_ros.model.ops.warp.warp``."""
    return sample(field, sampled_positions(offsets, to_device_of(previous_from_current, field), size), size)


def sample(field: Tensor, positions: Tensor, size: tuple[int, ...]) -> Tensor:
    """Trilinear samples of (Y X Z, C) rows at (Y X Z, 3) positions along x, y, z [voxels], zero outside.

    Along an axis of one voxel every position is that voxel's.
    """
    last = to_device_of(torch.tensor([max(size[axis] - 1.0, 1.0) for axis in (1, 0, 2)]), positions)
    normalised = 2 * positions / last - 1
    # grid_sample takes the volume's axes in reverse: the volume is (Y, X, Z), so the order is z, x, y.
    grid = normalised.roll(1, 1).view(1, *size, 3)
    return rows(F.grid_sample(volume_of(field, size), grid, align_corners=True))


def sampled_positions(offsets: Tensor | None, previous_from_current: Tensor, size: tuple[int, ...]) -> Tensor:
    """R p + M: (Y X Z, 3) positions in the previous grid along x, y, z [voxels]; ``size`` is (Y, X, Z).

    The offset is added after the rigid transform (the paper's equation 4 adds it before) [DIFF 5].
    """
    r = previous_from_current
    y, x, z = torch.meshgrid(*(torch.arange(n, dtype=torch.float32, device=r.device) for n in size), indexing='ij')
    axes = [((r[a, 0] * x + r[a, 1] * y) + r[a, 2] * z) + r[a, 3] for a in range(3)]
    positions = torch.stack(axes, -1).view(-1, 3)
    return positions if offsets is None else positions + offsets
