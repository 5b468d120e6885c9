"""Lift: image context into the voxel volume along the depth distribution (spec section 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model import kernels
from gdfusion_ros.model.camera import Memo, sent
from gdfusion_ros.model.frame import Frame
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.kernels import NOWHERE
from gdfusion_ros.model.small_matrices import inverse, product
from gdfusion_ros.model.volume import volume_of


class Lift(nn.Module):
    """Sum over all points of a voxel: depth probability times context (forward projection).

    Where voxels are large, each of their parts may have a sum of its own, so that what lies where in a voxel is not
    lost; a linear layer mixes the parts.

    The buffers are constants that the published checkpoints carry; they are compared at load and not used.
    """

    dx: Tensor
    bx: Tensor
    nx: Tensor

    def __init__(self, grid: VoxelGrid, channels: int = 0, parts: int = 1) -> None:
        """``grid`` is the volume in the ego frame, ``parts`` lie along a voxel's edge, ``channels`` are to be mixed."""
        super().__init__()
        self.grid, self.parts = grid, parts
        self.mix = nn.Linear(parts ** 3 * channels, channels) if parts > 1 else None
        size = torch.tensor(grid.voxel_size)
        self.register_buffer('dx', size)
        self.register_buffer('bx', torch.tensor(grid.lower) + size / 2)
        self.register_buffer('nx', torch.tensor(grid.shape, dtype=torch.float32))
        self._voxels: Memo[Tensor] = Memo()
        self._bags: Memo[tuple[Tensor, Tensor]] = Memo()
        self._occupied: Memo[tuple[Tensor, Tensor]] = Memo()

    def voxels(self, points: Tensor, frame: Frame) -> Tensor:
        """Voxel of every point: (N, D, h, w) int32 row of the volume in the order y, x, z, or NOWHERE.

        With parts, every row is as many rows as a voxel has parts, in the same order.

        Args:
            points: (N, D, h, w, 3) as ``camera_points`` gives them; they follow from frame's image augmentation.
            frame: the cameras. Kept while their calibration and poses stay the same.
        """
        key = (frame.post_rotation, frame.post_translation, frame.intrinsics, frame.ego_from_camera, frame.bda,
               frame.visible)
        return self._voxels(key, lambda: self._locate(points, frame))

    def _locate(self, points: Tensor, frame: Frame) -> Tensor:
        ego_from_camera = frame.ego_from_camera
        ego_from_points = product(ego_from_camera[:, :3, :3], inverse(frame.intrinsics))
        return kernels.locate(points, ego_from_points, ego_from_camera[:, :3, 3], frame.bda, frame.visible, self.grid,
                              self.parts)

    def forward(self, geometry: Tensor, context: Tensor, voxels: Tensor) -> Tensor:
        """Volume (1, C, Y, X, Z), empty voxels 0.

        Args:
            geometry: (N, D, h, w) depth distribution.
            context: (N, C, h, w).
            voxels: (N, D, h, w) as ``voxels`` gives them.
        """
        x, y, z = self.grid.shape
        lifted = self._summed(geometry, context, voxels, self.grid.voxels) if self.mix is None else self._mixed(
            self.mix, geometry, context, voxels)
        return volume_of(lifted, (y, x, z))

    def _mixed(self, mix: nn.Linear, geometry: Tensor, context: Tensor, voxels: Tensor) -> Tensor:
        """(voxels, C) mixtures of the parts. Of most voxels all parts are empty: only the others are computed."""
        rows, occupied = self._occupied((voxels,), lambda: kernels.renumber(voxels, self.grid.voxels, self.parts ** 3))
        occupied = sent(occupied, geometry)
        sums = self._summed(geometry, context, rows, len(occupied) * self.parts ** 3)
        mixed = mix(sums.view(len(occupied), self.parts ** 3 * sums.shape[1]))
        return mix.bias.to(mixed.dtype).expand(self.grid.voxels, -1).index_copy(0, occupied, mixed)

    def _summed(self, geometry: Tensor, context: Tensor, voxels: Tensor, rows: int) -> Tensor:
        """(rows, C) sums; arguments as ``forward``'s."""
        if kernels.usable(geometry, context):
            return kernels.lift(geometry, context, voxels, rows)
        points, offsets = self._bags((voxels,), lambda: self._sorted(voxels, rows, geometry.device))
        cells = context.shape[2] * context.shape[3]
        camera, cell = points // geometry[0].numel(), points % cells
        features = context.permute(0, 2, 3, 1).reshape(-1, context.shape[1])
        return F.embedding_bag(camera * cells + cell, features, offsets, mode='sum',
                               per_sample_weights=geometry.flatten()[points])

    def _sorted(self, voxels: Tensor, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Indices of the points inside, sorted by voxel, and where each voxel's begin. Sums in this order repeat."""
        voxels = voxels.flatten()
        inside = int((voxels != NOWHERE).sum())
        voxels = voxels.masked_fill(voxels == NOWHERE, rows)
        counts = torch.bincount(voxels, minlength=rows)[:rows]
        offsets = counts.cumsum(0) - counts
        return (voxels.to(device, non_blocking=True).argsort(stable=True)[:inside],
                offsets.to(device, non_blocking=True))
