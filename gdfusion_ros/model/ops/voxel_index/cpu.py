"""The index in compiled passes over the points."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.ops.compiled import (
    ONE,
    Float,
    Floats,
    Ints,
    Size,
    Triple,
    inlined,
    kernel,
    row,
    serial,
    share_threads,
)
from gdfusion_ros.model.ops.voxel_index import reference
from gdfusion_ros.model.ops.voxel_index.reference import NOWHERE, Placement

BEYOND = Float(reference.BEYOND)


def locate(points: Tensor, placement: Placement, grid: VoxelGrid, parts: int) -> Tensor:
    """See ``gdfusion_ros.model.ops.voxel_index.locate``."""
    share_threads()
    voxels = torch.empty(points.shape[:-1], dtype=torch.int32)
    fine = grid.refined(parts)
    _locate(
        points.flatten(1, 3).numpy(),
        placement.rotation.numpy(),
        placement.translation.numpy(),
        placement.bda.numpy(),
        placement.visible.numpy(),
        (np.array(fine.lower, Float), np.array(fine.voxel_size, Float)),
        fine.shape,
        parts,
        voxels.flatten(1).numpy(),
    )
    return voxels


@inlined
def _place(pose: tuple[Floats, Floats, Floats], place: tuple[Floats, Floats], point: Floats) -> Triple:
    """Where a camera's point lies in the grid, in voxels from its lower corner."""
    (matrix, shift, bda), (lower, size) = pose, place
    x, y, z = point[0], point[1], point[2]
    ex, ey = row(matrix, 0, x, y, z) + shift[0], row(matrix, 1, x, y, z) + shift[1]
    ez = row(matrix, 2, x, y, z) + shift[2]
    return (
        (row(bda, 0, ex, ey, ez) - lower[0]) / size[0],
        (row(bda, 1, ex, ey, ez) - lower[1]) / size[1],
        (row(bda, 2, ex, ey, ez) - lower[2]) / size[2],
    )


@kernel
def _locate(
    points: Floats,
    matrices: Floats,
    shifts: Floats,
    bda: Floats,
    visible: NDArray[np.bool_],
    place: tuple[Floats, Floats],
    shape: Size,
    parts: int,
    voxels: NDArray[np.int32],
) -> None:
    for n in numba.prange(len(points)):
        for i in range(points.shape[1]):
            vx, vy, vz = _place((matrices[n], shifts[n], bda), place, points[n, i])
            inside = vx > -ONE and vy > -ONE and vz > -ONE and vx < shape[0] and vy < shape[1] and vz < shape[2]
            if visible[n] and inside:
                cx, cy, cz = int(vx), int(vy), int(vz)
                voxel = (cy // parts * (shape[0] // parts) + cx // parts) * (shape[2] // parts) + cz // parts
                part = (cy % parts * parts + cx % parts) * parts + cz % parts
                voxels[n, i] = voxel * parts**3 + part
            else:
                voxels[n, i] = NOWHERE


def places(points: Tensor, placement: Placement, grid: VoxelGrid) -> Tensor:
    """See ``gdfusion_ros.model.ops.voxel_index.places``."""
    share_threads()
    found = torch.empty_like(points)
    _places(
        points.flatten(1, 3).numpy(),
        placement.rotation.numpy(),
        placement.translation.numpy(),
        placement.bda.numpy(),
        placement.visible.numpy(),
        (np.array(grid.lower, Float), np.array(grid.voxel_size, Float)),
        found.flatten(1, 3).numpy(),
    )
    return found


@kernel
def _places(
    points: Floats,
    matrices: Floats,
    shifts: Floats,
    bda: Floats,
    visible: NDArray[np.bool_],
    place: tuple[Floats, Floats],
    found: Floats,
) -> None:
    for n in numba.prange(len(points)):
        for i in range(points.shape[1]):
            x, y, z = _place((matrices[n], shifts[n], bda), place, points[n, i])
            if visible[n]:
                found[n, i, 0], found[n, i, 1], found[n, i, 2] = x, y, z
            else:
                found[n, i, 0], found[n, i, 1], found[n, i, 2] = BEYOND, BEYOND, BEYOND


def renumbered(rows: Tensor, voxels: int, parts: int) -> tuple[Tensor, Tensor]:
    """See ``reference.renumbered``."""
    renewed, numbers = torch.empty_like(rows), np.zeros(voxels, np.int32)
    occupied = np.empty(voxels, np.int64)
    reached = _renumber(rows.flatten().numpy(), parts, numbers, occupied, renewed.flatten().numpy())
    return renewed, torch.from_numpy(occupied[:reached])


@serial
def _renumber(
    rows: NDArray[np.int32], parts: int, numbers: NDArray[np.int32], occupied: Ints, renewed: NDArray[np.int32]
) -> int:
    """Fills ``renewed`` and the beginning of ``occupied``; returns how many voxels have points."""
    for i in range(len(rows)):
        if rows[i] >= 0:
            numbers[rows[i] // parts] = 1
    reached = 0
    for voxel in range(len(numbers)):
        if numbers[voxel] > 0:
            numbers[voxel], occupied[reached] = reached, voxel
            reached += 1
    for i in range(len(rows)):
        renewed[i] = numbers[rows[i] // parts] * parts + rows[i] % parts if rows[i] >= 0 else NOWHERE
    return reached


def sorted_by_row(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """See ``reference.sorted_by_row``."""
    starts = np.zeros(count + 1, np.int64)
    points = np.empty(rows.numel(), np.int64)
    _sort(rows.flatten().numpy(), starts, points)
    return torch.from_numpy(points[: starts[-1]]), torch.from_numpy(starts)


@serial
def _sort(rows: NDArray[np.int32], starts: Ints, points: Ints) -> None:
    """A counting sort, in which ``starts`` first counts, then points at each row's next free place."""
    for i in range(len(rows)):
        if rows[i] >= 0:
            starts[rows[i] + 1] += 1
    for r in range(1, len(starts)):
        starts[r] += starts[r - 1]
    for i in range(len(rows)):
        if rows[i] >= 0:
            points[starts[rows[i]]] = i
            starts[rows[i]] += 1
    # Every start has moved on to the next row's.
    for r in range(len(starts) - 1, 0, -1):
        starts[r] = starts[r - 1]
    starts[0] = 0
