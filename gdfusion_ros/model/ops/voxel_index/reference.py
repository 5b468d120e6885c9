"""The index in plain torch, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import to_device_of, transform, translated
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.runtime.upload import upload

NOWHERE = -1
"""Voxel of a point outside the grid, or of a camera that is not to be seen."""

BEYOND = -2.0
"""Place along every axis of a point of a camera that is not to be seen: so far below the grid that it fills nothing."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where N cameras lie in the volume's frame; small.

    Attributes:
        rotation, translation: (N, 3, 3) and (N, 3): source pixel times depth -> the volume's frame [m].
        bda: (3, 3) augmentation of that frame.
        visible: (N,) bool; the others' points lie nowhere.
    """

    rotation: Tensor
    translation: Tensor
    bda: Tensor
    visible: Tensor

    def to(self, device: torch.device) -> Placement:
        """The same on another device."""
        return Placement(
            *(
                tensor.to(device, non_blocking=True)
                for tensor in (self.rotation, self.translation, self.bda, self.visible)
            )
        )


@dataclass(frozen=True, eq=False)
class VoxelIndex:
    """The points of the frusta by the row of the volume that they are summed into.

    Attributes:
        points: int64 indices into the N h w D points, sorted by row and, within a row, in order; those that lie
            nowhere are left out.
        starts: (rows + 1,) int64: row r is the sum of ``points[starts[r]:starts[r + 1]]``.
        occupied: (n,) int64 voxels that the rows belong to, as many rows a voxel as it has parts; None where the rows
            are all voxels.
    """

    points: Tensor
    starts: Tensor
    occupied: Tensor | None

    def to(self, device: torch.device) -> VoxelIndex:
        """The same on another device."""
        return VoxelIndex(
            upload(self.points, device),
            upload(self.starts, device),
            None if self.occupied is None else upload(self.occupied, device),
        )


@dataclass(frozen=True, eq=False)
class PointRows:
    """The same in graph form, where no size may depend on the data: nothing is sorted, nothing is left out.

    Attributes:
        rows: (N, h, w, D) int32 row of each point, or NOWHERE.
        count: of the rows.
        occupied: all of them.
    """

    rows: Tensor
    count: int
    occupied: None = None

    def to(self, device: torch.device) -> PointRows:
        """The same on another device."""
        return PointRows(self.rows.to(device, non_blocking=True), self.count)


def locate(points: Tensor, placement: Placement, grid: VoxelGrid, parts: int) -> Tensor:
    """See ``gdfusion_ros.model.ops.voxel_index.locate``."""
    fine = grid.refined(parts)
    found = _places(points, placement, fine)
    shape = to_device_of(torch.tensor(fine.shape, dtype=points.dtype), points)
    # Truncation toward zero: points up to one voxel below the lower bounds land in index 0 [QUIRK 5].
    inside = ((found > -1) & (found < shape)).all(-1) & _seen(placement, points)
    x, y, z = (torch.where(inside, axis, 0).to(torch.int32) for axis in found.unbind(-1))
    columns, heights = grid.shape[0], grid.shape[2]
    voxel = (y // parts * columns + x // parts) * heights + z // parts
    part = (y % parts * parts + x % parts) * parts + z % parts
    return torch.where(inside, voxel * parts**3 + part, NOWHERE)


def places(points: Tensor, placement: Placement, grid: VoxelGrid) -> Tensor:
    """See ``gdfusion_ros.model.ops.voxel_index.places``."""
    return torch.where(_seen(placement, points)[..., None], _places(points, placement, grid), BEYOND)


def _places(points: Tensor, placement: Placement, grid: VoxelGrid) -> Tensor:
    """The same, whether or not the camera is to be seen."""
    points = translated(placement.rotation, points, placement.translation)
    points = transform(placement.bda.expand(len(points), 3, 3), points)
    lower, size = (
        to_device_of(torch.tensor(each, dtype=points.dtype), points) for each in (grid.lower, grid.voxel_size)
    )
    return (points - lower) / size  # a true division: its rounding decides


def _seen(placement: Placement, points: Tensor) -> Tensor:
    """Whether each point (N, …, 3) is of a visible camera, to be broadcast to (N, …)."""
    return to_device_of(placement.visible, points).view(-1, *[1] * (points.dim() - 2))


def renumbered(rows: Tensor, voxels: int, parts: int) -> tuple[Tensor, Tensor]:
    """Rows of parts, those of voxels without any points left out; and (n,) which voxels have points."""
    del voxels
    inside = rows != NOWHERE
    occupied = torch.unique(rows[inside] // parts).long()
    numbers = torch.searchsorted(occupied, (rows // parts).long()).to(rows.dtype)
    return torch.where(inside, numbers * parts + rows % parts, NOWHERE), occupied


def sorted_by_row(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``points`` and ``starts`` of ``VoxelIndex`` for ``count`` rows.

    On other devices than the CPU, points that lie nowhere stand at the end: to leave them out one would have to wait
    until it is known how many there are.
    """
    rows = torch.where(rows == NOWHERE, count, rows).flatten()
    ordered, points = rows.sort(stable=True)
    starts = torch.searchsorted(ordered, torch.arange(count + 1, dtype=rows.dtype, device=rows.device))
    return points[: starts[-1]] if rows.device.type == 'cpu' else points, starts
