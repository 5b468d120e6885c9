"""Lift of the ALOcc family: points fill eight voxels, and a cell's neighbours are lifted, too (alocc.md §4, 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.camera import pixel_grid, to_device_of, transform
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, CellDepth, Neighbours
from gdfusion_ros.model.layers.volume import volume_of
from gdfusion_ros.model.ops.soft_filling import PlacedPoints, place_points, soft_filling
from gdfusion_ros.model.ops.voxel_index import BEYOND, Placement, places
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.view.lift import IntoGrid, LiftView, placement

OTHERS = (0, 1, 2, 3, 5, 6, 7, 8)
"""Of the 3 x 3 places round a cell: its own is lifted already."""


class SoftFilling(IntoGrid):
    """Sum of depth probability times context, each point shared out to the eight voxels round it (alocc.md §5)."""

    def geometry(self, points: Tensor, calibration: Calibration) -> PlacedPoints:
        """Where the points (N, h, w, D, 3) of the frusta lie."""
        return place_points(places(points, placement(calibration), self.grid), self.grid)

    def forward(
        self, distribution: Tensor, context: Tensor, placed: PlacedPoints, *others: tuple[Tensor, PlacedPoints]
    ) -> Tensor:
        """Volume (1, C, Y, X, Z), empty voxels 0.

        Args:
            distribution: (N, D, h, w) weights of the frusta's points.
            context: (N, C, h, w).
            placed: as ``geometry`` gives it.
            others: weights (N, P, h, w) and places of more points of the cells.
        """
        x, y, z = self.grid.shape
        return volume_of(soft_filling(context, self.grid, (distribution, placed), *others), (y, x, z))


class FlatSoftFilling(SoftFilling):
    """The same into a grid of one height, as a map: what lies far from its lower face along z counts little [QUIRK]."""

    def forward(
        self, distribution: Tensor, context: Tensor, placed: PlacedPoints, *others: tuple[Tensor, PlacedPoints]
    ) -> Tensor:
        """Map (1, C, Y, X)."""
        return super().forward(distribution, context, placed, *others)[..., 0]


@dataclass(frozen=True, eq=False)
class InterRayGeometry:
    """Where the frusta's points lie, and what places others: the way from pixels into the volume's frame.

    Attributes:
        placed: of the frusta.
        source_from_input, post_translation: (N, 3, 3), (N, 3): input pixel, less the translation -> source pixel.
        placement: of the cameras.
    """

    placed: PlacedPoints
    source_from_input: Tensor
    post_translation: Tensor
    placement: Placement


class InterRayPoints:
    """Points beside each cell's ray, at the depths round its likeliest one (alocc.md §4)."""

    def __init__(self, grid: VoxelGrid, image_size: tuple[int, int], cells: tuple[int, int], bins: DepthBins) -> None:
        """``cells`` (h, w) of the features."""
        self._grid, self._image_size, self._cells, self._bins = grid, image_size, cells, bins

    def __call__(
        self, distribution: Tensor, neighbours: Neighbours, geometry: InterRayGeometry
    ) -> tuple[Tensor, PlacedPoints]:
        """Weights (N, 24, h, w) and places of the 8 x 3 points of every cell.

        Args:
            distribution: (N, D, h, w) that is lifted.
            neighbours: weights and offsets of the points.
            geometry: of the frame.
        """
        around = distribution.argmax(1, keepdim=True) + torch.arange(-1, 2, device=distribution.device).view(-1, 1, 1)
        # The released code clamps with the number of cameras, not of bins [QUIRK]: what is seen far off is lifted near.
        bins = around.clamp(0, len(distribution) - 1)
        weights = neighbours.weights.flatten(1, 2)[:, OTHERS] * distribution.gather(1, bins)[:, None]
        found = places(self._points(bins, neighbours.offsets, geometry), geometry.placement, self._grid)
        before = (around < 0).permute(0, 2, 3, 1)[..., None, :, None]  # asked before clamping [QUIRK]
        found = torch.where(before, BEYOND, found.unflatten(3, (len(OTHERS), 3))).flatten(3, 4)
        return weights.flatten(1, 2), place_points(found, self._grid)

    def _points(self, bins: Tensor, offsets: Tensor, geometry: InterRayGeometry) -> Tensor:
        """(N, h, w, 24, 3) as ``camera_points`` gives them: the places, moved by the offsets, at the bins' depths."""
        u, v = (to_device_of(axis, offsets) for axis in pixel_grid(self._image_size, self._cells))
        moved = offsets.flatten(1, 2)[:, OTHERS].permute(0, 3, 4, 1, 2)  # (N, h, w, 8, 2)
        pixels = moved + torch.stack(torch.meshgrid(u, v, indexing='xy'), -1)[:, :, None]
        depth = (self._bins.first + self._bins.step * bins).permute(0, 2, 3, 1)  # (N, h, w, 3)
        size = (*depth.shape[:3], len(OTHERS), 3)
        cells = torch.cat([pixels[..., None, :].expand(*size, 2), depth[..., None, :, None].expand(*size, 1)], -1)
        shift = to_device_of(geometry.post_translation, cells)[:, None, None, None, None]
        points = transform(geometry.source_from_input, cells - shift).flatten(3, 4)
        return torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], -1)


class InterRayView(LiftView):
    """The view slot of ALOcc: soft filling of the cells' rays and of the points beside them."""

    lift: SoftFilling

    def __init__(
        self,
        lift: SoftFilling,
        pre_process: torch.nn.Module,
        image_size: tuple[int, int],
        cells: tuple[int, int],
        bins: DepthBins,
    ) -> None:
        """See ``LiftView``."""
        super().__init__(lift, pre_process, image_size, cells, bins)
        self._inter_ray = InterRayPoints(lift.grid, image_size, cells, bins)

    def geometry(self, calibration: Calibration, cache: CalibrationCache) -> InterRayGeometry:
        """Where the points of the frusta lie, and what places others, on the network's device."""
        placed, device = self.voxel_index(calibration, cache), self.lift.dx.device
        return InterRayGeometry(
            placed,
            inverse(calibration.post_rotation).to(device, non_blocking=True),
            calibration.post_translation.to(device, non_blocking=True),
            placement(calibration).to(device),
        )

    def lifted(self, cells: CellDepth, index: InterRayGeometry, run: Pass) -> Tensor:
        """Features of the cells and of their neighbours -> volume (1, C, Y, X, Z)."""
        assert cells.neighbours is not None, 'the depth slot says what lies beside the rays'
        with run.probe.stage('lift'), run.learned():
            others = self._inter_ray(cells.distribution, cells.neighbours, index)
            lifted: Tensor = self.lift(cells.distribution, cells.context, index.placed, others)
        run.probe.record('lifted', lifted)
        return lifted
