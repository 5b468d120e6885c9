"""Lift: image context into the voxel volume along the depth distribution (spec section 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model import kernels
from gdfusion_ros.model.camera import Memo, transform, translated
from gdfusion_ros.model.frame import Frame
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.volume import volume_of

NOWHERE = -1
"""Voxel index of a point outside the grid."""


class Lift(nn.Module):
    """Sum over all points of a voxel: depth probability times context (forward projection).

    The buffers are constants that the published checkpoints carry; they are compared at load and not used.
    """

    dx: Tensor
    bx: Tensor
    nx: Tensor

    def __init__(self, grid: VoxelGrid) -> None:
        """``grid`` is the volume in the ego frame."""
        super().__init__()
        self.grid = grid
        size = torch.tensor(grid.voxel_size)
        self.register_buffer('dx', size)
        self.register_buffer('bx', torch.tensor(grid.lower) + size / 2)
        self.register_buffer('nx', torch.tensor(grid.shape, dtype=torch.float32))
        self._voxels: Memo[Tensor] = Memo()
        self._bags: Memo[tuple[Tensor, Tensor]] = Memo()

    def voxels(self, points: Tensor, frame: Frame) -> Tensor:
        """Voxel of every point: (N, D, h, w) int32 row of the volume in the order y, x, z, or NOWHERE.

        Args:
            points: (N, D, h, w, 3) as ``camera_points`` gives them; they follow from frame's image augmentation.
            frame: the cameras. Kept while their calibration and poses stay the same.
        """
        key = (frame.post_rotation, frame.post_translation, frame.intrinsics, frame.ego_from_camera, frame.bda,
               frame.visible)
        return self._voxels(key, lambda: self._locate(points, frame))

    def _locate(self, points: Tensor, frame: Frame) -> Tensor:
        rotation, translation = frame.ego_from_camera[:, :3, :3], frame.ego_from_camera[:, :3, 3]
        points = translated(rotation @ torch.linalg.inv(frame.intrinsics), points, translation)
        points = transform(frame.bda.expand(len(points), 3, 3), points)
        # A true division and truncation toward zero: points up to one voxel below the lower bounds land in index 0
        # [QUIRK 5].
        cells = ((points - torch.tensor(self.grid.lower)) / torch.tensor(self.grid.voxel_size)).int()
        counts = torch.tensor(self.grid.shape, dtype=torch.int32)
        inside = ((cells >= 0) & (cells < counts)).all(-1) & frame.visible.view(-1, 1, 1, 1)
        x, y, z = cells.unbind(-1)
        return torch.where(inside, (y * counts[0] + x) * counts[2] + z, NOWHERE)

    def forward(self, geometry: Tensor, context: Tensor, voxels: Tensor) -> Tensor:
        """Volume (1, C, Y, X, Z), empty voxels 0.

        Args:
            geometry: (N, D, h, w) depth distribution.
            context: (N, C, h, w).
            voxels: (N, D, h, w) as ``voxels`` gives them.
        """
        x, y, z = self.grid.shape
        if kernels.usable(geometry, context):
            return volume_of(kernels.lift(geometry, context, voxels, self.grid.voxels), (y, x, z))
        points, offsets = self._bags((voxels,), lambda: self._sorted(voxels, geometry.device))
        cells = context.shape[2] * context.shape[3]
        camera, cell = points // geometry[0].numel(), points % cells
        features = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
        volume = F.embedding_bag(camera * cells + cell, features, offsets, mode='sum',
                                 per_sample_weights=geometry.flatten()[points])
        return volume_of(volume, (y, x, z))

    def _sorted(self, voxels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Indices of the points inside, sorted by voxel, and where each voxel's begin. Sums in this order repeat."""
        voxels = voxels.flatten()
        inside = int((voxels != NOWHERE).sum())
        voxels = voxels.masked_fill(voxels == NOWHERE, self.grid.voxels).to(device)
        values, order = voxels.sort(stable=True)
        offsets = torch.searchsorted(values[:inside], torch.arange(self.grid.voxels, dtype=values.dtype, device=device))
        return order[:inside], offsets
