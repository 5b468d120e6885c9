"""Which points of the cameras' frusta lie in which voxel (bevdetocc_gf.md §4): the lift's share of the geometry."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.graph_form import in_graph_form
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.voxel_index import cpu, reference
from gdfusion_ros.model.ops.voxel_index.reference import BEYOND, NOWHERE, Placement, PointRows, VoxelIndex

__all__ = ['BEYOND', 'NOWHERE', 'Placement', 'PointRows', 'VoxelIndex', 'locate', 'places', 'voxel_index']


@torch.no_grad()
def locate(points: Tensor, placement: Placement, grid: VoxelGrid, parts: int = 1) -> Tensor:
    """Voxel of every point: (N, h, w, D) int32 row of the volume in the order y, x, z, or NOWHERE.

    With parts, every row is as many rows as a voxel has parts, in the same order.

    Args:
        points: (N, h, w, D, 3) as ``camera_points`` gives them, a cell's bins side by side.
        placement: of the cameras that they belong to.
        grid: the volume.
        parts: along the edge of a voxel.
    """
    located = cpu.locate if compiled.usable(points) else reference.locate
    return located(points, placement, grid, parts)


def places(points: Tensor, placement: Placement, grid: VoxelGrid) -> Tensor:
    """Where every point lies in the grid: (N, h, w, D, 3) along x, y, z, in voxels from the grid's lower corner.

    Points of a camera that is not to be seen are BEYOND; others may lie outside, too. See ``locate``.
    """
    placed = cpu.places if compiled.usable(points) else reference.places
    return placed(points, placement, grid)


@torch.no_grad()
def voxel_index(points: Tensor, placement: Placement, grid: VoxelGrid, parts: int = 1) -> VoxelIndex | PointRows:
    """The points sorted by voxel; with parts, by the parts of the voxels that have points. See ``locate``."""
    if in_graph_form():
        return PointRows(locate(points, placement, grid, parts), grid.voxels * parts**3)
    form = cpu if compiled.usable(points) else reference
    rows, count, occupied = locate(points, placement, grid, parts), grid.voxels, None
    if parts > 1:
        rows, occupied = form.renumbered(rows, grid.voxels, parts**3)
        count = len(occupied) * parts**3
    sorted_points, starts = form.sorted_by_row(rows, count)
    return VoxelIndex(sorted_points, starts, occupied)
