"""Which voxels of a grid the cameras saw: those that a ray of an image passes, up to and with the first occupied one.

It is what Occ3D's camera masks say of the true voxels, here of the predicted ones: behind a wall that the network sees,
what it says is a guess. Rays are spread evenly over every image, as close as a voxel is wide at the farthest corner;
one more is sent to each voxel at a surface that they missed: level ground far away is narrower than their spacing.
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

_TOP = 0.99  # of a voxel: a point just below its upper side, which is what is seen of ground


@dataclass(frozen=True, eq=False)
class CameraView:
    """Where a camera was when it took its image, and what the image shows.

    Attributes:
        grid_from_camera: (4, 4) optical frame -> the grid's frame.
        intrinsics: (3, 3) K of the full image [px].
        width, height: of the full image [px].
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
            _look_at_surfaces(self._solid, starts, pixels, sizes, seen.copy(order='K'), seen)
        return seen


def only_observed(grid: SemanticGrid) -> SemanticGrid:
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
    return np.array(
        [[1 / fx, -skew / (fx * fy), (skew * cy - cx * fy) / (fx * fy)], [0.0, 1 / fy, -cy / fy], [0.0, 0.0, 1.0]]
    )


@kernel
def _spread_rays(
    solid: Bools, starts: Floats, directions: Floats, sizes: Floats, rays: NDArray[np.int64], seen: Bools
) -> None:
    """Marks what rays pass that are spread evenly over the images."""
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
def _look_at_surfaces(solid: Bools, starts: Floats, pixels: Floats, sizes: Floats, passed: Bools, seen: Bools) -> None:
    """Sends a ray to each solid voxel that it would enter from where rays have ``passed``; marks in ``seen``.

    What other threads mark meanwhile decides nothing, so that the same grid always gives the same bits.
    """
    size_x, size_y, size_z = solid.shape
    for row in numba.prange(size_y):
        y = np.int64(row)
        for z in range(size_z):
            for x in range(size_x):
                if solid[x, y, z] and not passed[x, y, z]:
                    for camera in range(len(starts)):
                        start = (starts[camera, 0], starts[camera, 1], starts[camera, 2])
                        direction = (x + 0.5 - start[0], y + 0.5 - start[1], z + _TOP - start[2])
                        if _is_open(solid, passed, _before(x, y, z, direction)) and _shows(
                            pixels, sizes, camera, direction
                        ):
                            mark_passed(solid, start, direction, seen)


@numba.njit(cache=True)
def _before(x, y, z, direction):  # type: ignore[no-untyped-def]
    """The voxel from which a ray enters voxel x, y, z on its way to the middle of its top."""
    along_x, along_y, along_z = abs(direction[0]), abs(direction[1]), abs(direction[2])
    depth = _TOP if direction[2] > 0.0 else 1.0 - _TOP  # from the lower or the upper side
    if along_y <= along_x and 0.5 * along_z <= depth * along_x:
        return x - _sign(direction[0]), y, z
    if 0.5 * along_z <= depth * along_y:
        return x, y - _sign(direction[1]), z
    return x, y, z - _sign(direction[2])


@numba.njit(cache=True)
def _is_open(solid, passed, voxel):  # type: ignore[no-untyped-def]
    """Whether rays have passed a voxel and go on from it; those from outside of the grid do."""
    (x, y, z), (size_x, size_y, size_z) = voxel, solid.shape
    outside = x < 0 or x >= size_x or y < 0 or y >= size_y or z < 0 or z >= size_z
    return outside or (passed[x, y, z] and not solid[x, y, z])


@numba.njit(cache=True)
def _times(matrices, index, x, y, z):  # type: ignore[no-untyped-def]
    """A (3, 3) matrix times (x, y, z)."""
    return (
        matrices[index, 0, 0] * x + matrices[index, 0, 1] * y + matrices[index, 0, 2] * z,
        matrices[index, 1, 0] * x + matrices[index, 1, 1] * y + matrices[index, 1, 2] * z,
        matrices[index, 2, 0] * x + matrices[index, 2, 1] * y + matrices[index, 2, 2] * z,
    )


@numba.njit(cache=True)
def _shows(pixels, sizes, camera, direction):  # type: ignore[no-untyped-def]
    """Whether what lies in a ``direction`` from a camera is in its image."""
    u, v, depth = _times(pixels, camera, direction[0], direction[1], direction[2])
    return depth > 0.0 and 0.0 <= u <= sizes[camera, 0] * depth and 0.0 <= v <= sizes[camera, 1] * depth


@numba.njit(cache=True)
def _sign(number):  # type: ignore[no-untyped-def]
    return 1 if number > 0.0 else -1
