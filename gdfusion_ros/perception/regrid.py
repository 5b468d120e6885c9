"""Semantic grids in another frame or resolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.types import Matrix, SemanticGrid


def voxel_grid(grid: SemanticGrid) -> VoxelGrid:
    """Where the voxels of ``grid`` lie in its frame."""
    x, y, z = grid.labels.shape
    return VoxelGrid(grid.origin, grid.voxel_size, (x, y, z))


def regrid(
    grid: SemanticGrid, target: VoxelGrid, source_from_target: Matrix, frame_id: str, stamp: int
) -> SemanticGrid:
    """``grid`` sampled in the voxels of ``target``: each takes what the grid has at its centre.

    Args:
        grid: The grid to sample.
        target: The voxels of the result, in the frame ``frame_id`` at ``stamp`` [ns].
        source_from_target: (4, 4) rigid transform of that frame into the grid's.
        frame_id: TF frame of the result.
        stamp: Of the result [ns].

    Returns:
        The grid with labels UNKNOWN and confidence 0 where the centre lies outside of it; its visibility stays behind.
    """
    indices, inside = _source_indices(grid, target, source_from_target)
    return replace(
        grid,
        stamp=stamp,
        frame_id=frame_id,
        origin=target.lower,
        voxel_size=target.voxel_size,
        labels=_sampled(grid.labels, indices, inside, UNKNOWN),
        visibility=None,
        pose=None,
        confidence=None if grid.confidence is None else _sampled(grid.confidence, indices, inside, 0),
    )


def _source_indices(
    grid: SemanticGrid, target: VoxelGrid, source_from_target: Matrix
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Flat index (in the wire's order) of the source voxel of every target voxel, and where there is one.

    Both are (Z, Y, X), so that x runs fastest as in the arrays of a SemanticGrid.
    """
    indices, stride = np.zeros(target.shape[::-1], np.int64), 1
    inside = np.ones(target.shape[::-1], np.bool_)
    with np.errstate(over='ignore', invalid='ignore'):  # a grid may lie farther away than a float can say
        centres = [
            lower + (np.arange(count) + 0.5) * size
            for lower, size, count in zip(target.lower, target.voxel_size, target.shape, strict=True)
        ]
        for axis, count in enumerate(grid.labels.shape):
            row = source_from_target[axis] / grid.voxel_size[axis]
            offset = row[3] - grid.origin[axis] / grid.voxel_size[axis]
            x, y, z = (factor * along for factor, along in zip(row[:3], centres, strict=True))
            index = np.floor(x + y[:, None] + (z + offset)[:, None, None])
            inside &= (index >= 0) & (index < count)
            indices += np.where(inside, index, 0).astype(np.int64) * stride
            stride *= count
    return indices, inside


def _sampled(
    values: NDArray[np.uint8], indices: NDArray[np.int64], inside: NDArray[np.bool_], outside: int
) -> NDArray[np.uint8]:
    """(X, Y, Z), x fastest in memory."""
    result = np.full(indices.shape, outside, np.uint8)
    result[inside] = values.reshape(-1, order='F')[indices[inside]]
    return result.transpose(2, 1, 0)
