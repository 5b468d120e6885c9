"""Which voxels of a grid the cameras saw: those that a ray of an image passes, up to and with the first occupied one.

It is what Occ3D's camera masks say of the true voxels, here of the predicted ones: behind a wall that the network sees,
what it says is a guess. Rays are spread evenly over every image, close enough that no voxel of the released grids slips
through, and one is sent to each voxel at a surface: level ground far away is narrower than the space between rays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.ops.compiled import kernel, share_threads
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.ray_traversal import mark_passed
from gdfusion_ros.perception.types import SemanticGrid

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_TARGET = (0.5, 0.5, 0.99)  # of a surface's voxel: in the middle, just below its top, which is what is seen of ground


@dataclass(frozen=True, eq=False)
class CameraView:
    """Where a camera was when it took its image, and what the image shows.

    Attributes:
        grid_from_camera: (4, 4) optical frame -> the grid's frame.
        intrinsics: (3, 3) K of the full image [px].
        width: of the full image [px].
        height: as well.
    """

    grid_from_camera: Floats
    intrinsics: Floats
    width: int
    height: int


class Visibility:
    """What of a grid the cameras saw; computed when it is asked for."""

    def __init__(self, solid: Bools, voxels: VoxelGrid, views: Sequence[CameraView]) -> None:
        """``solid``: (X, Y, Z) which of the ``voxels`` nobody sees through; ``views``: those of one frame."""
        self._solid, self._voxels, self._views = solid, voxels, views

    @cached_property
    def observed(self) -> Bools:
        """(X, Y, Z) whether a camera saw a voxel, in the memory order of ``solid``."""
        share_threads()
        seen = np.zeros_like(self._solid)
        if self._views and seen.size:
            looks = [_look(view, self._voxels) for view in self._views]
            starts, directions, pixels, sizes, rays = (np.stack(parts) for parts in zip(*looks, strict=True))
            _spread_rays(self._solid, starts, directions, sizes, rays, seen)
            _look_at_surfaces(self._solid, starts, pixels, sizes, seen)
        return seen


def known(grid: SemanticGrid) -> SemanticGrid:
    """The grid, with what no camera saw labelled UNKNOWN."""
    return replace(grid, labels=np.where(grid.observed, grid.labels, np.uint8(UNKNOWN)))


def compile_rays() -> None:
    """Compile what computes it, or take it from the disk, so that the first grid is as fast as all others."""
    nothing = np.zeros((1, 1, 1), np.bool_, order='F')
    view = CameraView(np.eye(4), np.eye(3), 1, 1)
    _ = Visibility(nothing, VoxelGrid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1, 1, 1)), [view]).observed


def _look(view: CameraView, voxels: VoxelGrid) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.int64]]:
    """A camera in voxels from the grid's lower corner.

    Returns:
        Its place (3,); (3, 3) homogeneous pixel -> direction; (3, 3) direction -> homogeneous pixel; the size of its
        image (2,) [px]; how many rays go through it across and down (2,).
    """
    size = np.array(voxels.voxel_size)
    rotation = view.grid_from_camera[:3, :3]
    start = (view.grid_from_camera[:3, 3] - voxels.lower) / size
    directions = product(rotation, _inverse(view.intrinsics)) / size[:, None]
    pixels = product(view.intrinsics, rotation.T) * size
    extent = np.array([view.width, view.height], np.float64)
    focal = np.array([view.intrinsics[0, 0], view.intrinsics[1, 1]])
    narrowest = size.min() / (math.hypot(*(size[:2] * voxels.shape[:2])) / 2)  # a voxel at the farthest corner [rad]
    return start, directions, pixels, extent, np.ceil(extent / focal / narrowest).astype(np.int64) + 1


def _inverse(intrinsics: Floats) -> Floats:
    """Of a (3, 3) K = [[fx, s, cx], [0, fy, cy], [0, 0, 1]]."""
    fx, skew, cx, fy, cy = intrinsics[[0, 0, 0, 1, 1], [0, 1, 2, 1, 2]]
    return np.array([[1 / fx, -skew / (fx * fy), (skew * cy - cx * fy) / (fx * fy)],
                     [0.0, 1 / fy, -cy / fy], [0.0, 0.0, 1.0]])


@kernel
def _spread_rays(solid: Bools, starts: Floats, directions: Floats, sizes: Floats, rays: NDArray[np.int64],
                 seen: Bools) -> None:
    rows = rays[:, 1].max()
    for task in numba.prange(len(starts) * rows):
        camera, row = task // rows, task % rows
        if row < rays[camera, 1]:
            start = (starts[camera, 0], starts[camera, 1], starts[camera, 2])
            v = sizes[camera, 1] * row / (rays[camera, 1] - 1)
            for column in range(rays[camera, 0]):
                u = sizes[camera, 0] * column / (rays[camera, 0] - 1)
                mark_passed(solid, start, _times(directions, camera, u, v, 1.0), seen)


@kernel
def _look_at_surfaces(solid: Bools, starts: Floats, pixels: Floats, sizes: Floats, seen: Bools) -> None:
    """Marks what the ray to a voxel at a surface passes, unless that voxel is seen already."""
    size_x, size_y, size_z = solid.shape
    for y in numba.prange(size_y):
        for z in range(size_z):
            for x in range(size_x):
                if solid[x, y, z] and not seen[x, y, z]:
                    for camera in range(len(starts)):
                        start = (starts[camera, 0], starts[camera, 1], starts[camera, 2])
                        direction = (x + _TARGET[0] - start[0], y + _TARGET[1] - start[1], z + _TARGET[2] - start[2])
                        if _faces(solid, x, y, z, direction) and _shows(pixels, sizes, camera, direction):
                            mark_passed(solid, start, direction, seen)


@numba.njit(cache=True)
def _times(matrices, index, x, y, z):  # type: ignore[no-untyped-def]
    """A (3, 3) matrix times (x, y, z)."""
    return (matrices[index, 0, 0] * x + matrices[index, 0, 1] * y + matrices[index, 0, 2] * z,
            matrices[index, 1, 0] * x + matrices[index, 1, 1] * y + matrices[index, 1, 2] * z,
            matrices[index, 2, 0] * x + matrices[index, 2, 1] * y + matrices[index, 2, 2] * z)


@numba.njit(cache=True)
def _shows(pixels, sizes, camera, direction):  # type: ignore[no-untyped-def]
    """Whether what lies in a ``direction`` from a camera is in its image."""
    u, v, depth = _times(pixels, camera, direction[0], direction[1], direction[2])
    return depth > 0.0 and 0.0 <= u <= sizes[camera, 0] * depth and 0.0 <= v <= sizes[camera, 1] * depth


@numba.njit(cache=True)
def _faces(solid, x, y, z, direction):  # type: ignore[no-untyped-def]
    """Whether a voxel has an open side towards where a ray of this ``direction`` comes from."""
    return not (_closed(solid, x - _sign(direction[0]), y, z) and _closed(solid, x, y - _sign(direction[1]), z)
                and _closed(solid, x, y, z - _sign(direction[2])))


@numba.njit(cache=True)
def _closed(solid, x, y, z):  # type: ignore[no-untyped-def]
    size_x, size_y, size_z = solid.shape
    return 0 <= x < size_x and 0 <= y < size_y and 0 <= z < size_z and solid[x, y, z]


@numba.njit(cache=True)
def _sign(number):  # type: ignore[no-untyped-def]
    return 1 if number > 0.0 else -1
