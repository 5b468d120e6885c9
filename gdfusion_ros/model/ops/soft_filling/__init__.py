"""Points fill the eight voxels round them, the nearer the more: the lift of the ALOcc family (alocc.md §5)."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.soft_filling import cpu, reference
from gdfusion_ros.model.ops.soft_filling.reference import PlacedPoints
from gdfusion_ros.model.ops.voxel_index import cpu as index_cpu
from gdfusion_ros.model.ops.voxel_index import reference as index_reference

__all__ = ['PlacedPoints', 'place_points', 'soft_filling']


def place_points(places: Tensor, grid: VoxelGrid) -> PlacedPoints:
    """The points sorted by the lowest of the eight voxels round them; those that fill no voxel are left out.

    Args:
        places: (N, h, w, P, 3) along x, y, z, in voxels from the grid's lower corner; a cell has P points.
        grid: the volume.
    """
    with torch.no_grad():
        usable = compiled.usable(places)
        rows = (cpu if usable else reference).lowest_voxels(places, grid.shape)
        (x, y, z), form = grid.shape, index_cpu if usable else index_reference
        points, starts = form.sorted_by_row(rows, (y + 1) * (x + 1) * (z + 1))
    return PlacedPoints(places, points, starts)


def soft_filling(context: Tensor, grid: VoxelGrid, *filling: tuple[Tensor, PlacedPoints]) -> Tensor:
    """(Y X Z, C) sums of weight times context over all points, shared out to eight voxels each; always in one order.

    Args:
        context: (N, C, h, w) of the cells that the points belong to.
        grid: the volume.
        filling: (N, P, h, w) weights of the points and where they lie; each pair with a P of its own.
    """
    filled = select(reference.soft_filling, cpu.soft_filling, context, *(weights for weights, _ in filling))
    return filled(context, grid.shape, filling)
