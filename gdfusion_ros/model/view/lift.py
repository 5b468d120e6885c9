"""Lift: image context into the voxel volume along the depth distribution (bevdetocc_gf.md §4)."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.camera import frustum_points
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.small_matrices import inverse, product
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, CellDepth
from gdfusion_ros.model.layers.volume import volume_of
from gdfusion_ros.model.ops.lift import lift
from gdfusion_ros.model.ops.voxel_index import Placement, PointRows, VoxelIndex, voxel_index
from gdfusion_ros.model.probe import Pass


def placement(calibration: Calibration) -> Placement:
    """Where the cameras lie in the volume's frame."""
    pose = calibration.volume_from_camera
    return Placement(
        product(pose[:, :3, :3], inverse(calibration.intrinsics)), pose[:, :3, 3], calibration.bda, calibration.visible
    )


class IntoGrid(nn.Module):
    """What lifts into a grid, and carries its constants.

    The buffers are constants that the published checkpoints carry; they are compared at load and not used.
    """

    dx: Tensor
    bx: Tensor
    nx: Tensor

    def __init__(self, grid: VoxelGrid) -> None:
        """``grid`` is the volume, in its own frame."""
        super().__init__()
        self.grid = grid
        size = torch.tensor(grid.voxel_size)
        self.register_buffer('dx', size)
        self.register_buffer('bx', torch.tensor(grid.lower) + size / 2)
        self.register_buffer('nx', torch.tensor(grid.shape, dtype=torch.float32))


class Lift(IntoGrid):
    """Sum over all points of a voxel: depth probability times context (forward projection).

    Where voxels are large, each of their parts may have a sum of its own, so that what lies where in a voxel is not
    lost; a linear layer mixes the parts.
    """

    def __init__(self, grid: VoxelGrid, channels: int = 0, parts: int = 1) -> None:
        """``grid`` is the volume in the ego frame, ``parts`` lie along a voxel's edge, ``channels`` are to be mixed."""
        super().__init__(grid)
        self.parts = parts
        self.mix = nn.Linear(parts**3 * channels, channels) if parts > 1 else None

    def geometry(self, points: Tensor, calibration: Calibration) -> VoxelIndex | PointRows:
        """Which points lie where.

        Args:
            points: (N, h, w, D, 3) of the frusta, as ``camera_points`` gives them, a cell's bins side by side.
            calibration: of the cameras.
        """
        return voxel_index(points, placement(calibration), self.grid, self.parts)

    def forward(self, distribution: Tensor, context: Tensor, index: VoxelIndex | PointRows) -> Tensor:
        """Volume (1, C, Y, X, Z), empty voxels 0.

        Args:
            distribution: (N, D, h, w) over the depth bins.
            context: (N, C, h, w).
            index: as ``geometry`` gives it.
        """
        x, y, z = self.grid.shape
        sums = lift(distribution, context, index)
        return volume_of(sums if self.mix is None else self._mixed(self.mix, sums, index), (y, x, z))

    def _mixed(self, mix: nn.Linear, sums: Tensor, index: VoxelIndex | PointRows) -> Tensor:
        """(voxels, C) mixtures of the parts. Of most voxels all parts are empty: only the others are computed."""
        mixed: Tensor = mix(sums.view(-1, mix.in_features))
        if index.occupied is None:
            return mixed
        return mix.bias.to(mixed.dtype).expand(self.grid.voxels, -1).index_copy(0, index.occupied, mixed)


class Lifting(Protocol):
    """A way from image cells into the volume: along their depth distribution."""

    grid: VoxelGrid
    dx: Tensor

    def geometry(self, points: Tensor, calibration: Calibration, /) -> Any:
        """Where the points (N, h, w, D, 3) of the frusta lie; it has a method ``to`` for another device."""

    def __call__(self, distribution: Tensor, context: Tensor, geometry: Any, /) -> Tensor:
        """(N, D, h, w) and (N, C, h, w) -> volume (1, C, Y, X, Z)."""


class ForwardProjection(nn.Module):
    """Features of the cells, lifted into the volume: what the view slots that lift have in common."""

    def __init__(self, lift: Lifting, image_size: tuple[int, int], cells: tuple[int, int], bins: DepthBins) -> None:
        """``cells`` (h, w) of the features."""
        super().__init__()
        self.lift = lift
        self._image_size, self._cells, self._bins = image_size, cells, bins

    def voxel_index(self, calibration: Calibration, cache: CalibrationCache) -> Any:
        """Which points of the frusta lie in which voxel, as the lift wants it, on the network's device."""
        points = cache(self._frustum, calibration.post_rotation, calibration.post_translation, cache)
        return cache(self._index, points, calibration, self.lift.dx.device)

    def geometry(self, calibration: Calibration, cache: CalibrationCache) -> Any:
        """Which points of the frusta lie in which voxel, on the network's device."""
        return self.voxel_index(calibration, cache)

    def _frustum(self, post_rotation: Tensor, post_translation: Tensor, cache: CalibrationCache) -> Tensor:
        points = cache(frustum_points, self._image_size, self._cells, self._bins, post_rotation, post_translation)
        return points.permute(0, 2, 3, 1, 4).contiguous()

    def _index(self, points: Tensor, calibration: Calibration, device: torch.device) -> Any:
        return self.lift.geometry(points, calibration).to(device)

    def lifted(self, cells: CellDepth, index: Any, run: Pass) -> Tensor:
        """Features of the cells -> volume (1, C, Y, X, Z)."""
        with run.probe.stage('lift'), run.learned():
            lifted = self.lift(cells.distribution, cells.context, index)
        run.probe.record('lifted', lifted)
        return lifted


class LiftView(ForwardProjection):
    """The view slot of most networks: lift, then a residual stage over the volume."""

    def __init__(
        self,
        lift: Lifting,
        pre_process: nn.Module,
        image_size: tuple[int, int],
        cells: tuple[int, int],
        bins: DepthBins,
    ) -> None:
        """``cells`` (h, w) of the features; ``pre_process`` gives levels, of which the last has the volume's size."""
        super().__init__(lift, image_size, cells, bins)
        self.pre_process = pre_process

    def forward(self, cells: CellDepth, geometry: Any, run: Pass) -> Tensor:
        """Features of the cells -> volume (1, C, Y, X, Z)."""
        lifted = self.lifted(cells, geometry, run)
        with run.probe.stage('pre-process'), run.learned():
            volume: Tensor = self.pre_process(lifted)[-1]
        run.probe.record('pre_process', volume)
        return volume.float()


class BareLiftView(ForwardProjection):
    """The view slot of networks that take the lifted volume as it is."""

    def forward(self, cells: CellDepth, index: Any, run: Pass) -> Tensor:
        """Features of the cells -> volume (1, C, Y, X, Z)."""
        return self.lifted(cells, index, run).float()
