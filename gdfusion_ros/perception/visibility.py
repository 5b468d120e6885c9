"""Which voxels of a grid the cameras saw: those that a ray of an image passes, up to and with the first occupied one.

It is what Occ3D's camera masks say of the true voxels, here of the predicted ones: behind a wall that the network sees,
what it says is a guess. Rays are spread evenly over every image, as close as a voxel is wide far away in the grid; one
more is sent to each voxel at a surface that they missed: level ground far away is narrower than their spacing.
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
from gdfusion_ros.model.ops.compiled import inlined, kernel, share_threads
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.ray_traversal import Bools, Triple, mark_passed
from gdfusion_ros.perception.types import SemanticGrid

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
            _look_at_surfaces(self._solid, starts, pixels, sizes, *_surroundings(self._solid, seen), seen)
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
    extents = size[:2] * voxels.shape[:2]
    far = (extents.max() + math.hypot(*extents)) / 4  # [m] half way from the side of the grid to its corner
    return start, directions, pixels, extent, np.ceil(extent / focal * (far / size.min())).astype(np.int64) + 1


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


def _surroundings(solid: Bools, passed: Bools) -> tuple[Bools, Bools]:
    """(X, Y, Z) solid voxels that rays missed; (X + 2, Y + 2, Z + 2) from where rays go on, all around the grid too."""
    opened = np.ones([length + 2 for length in solid.shape], np.bool_, order='F')
    np.greater(passed, solid, out=opened[1:-1, 1:-1, 1:-1])
    return solid > passed, opened


@kernel
def _look_at_surfaces(
    solid: Bools, starts: Floats, pixels: Floats, sizes: Floats, missed: Bools, opened: Bools, seen: Bools
) -> None:
    """Sends a ray to each voxel that was ``missed`` and that it would enter from one that is ``opened``.

    What other threads mark in ``seen`` meanwhile decides nothing, so that the same grid always gives the same bits.
    """
    size_x, size_y, size_z = solid.shape
    for row in numba.prange(size_y):
        y = int(np.int64(row))  # a row of prange has no sign
        for z in range(size_z):
            for x in range(size_x):
                if missed[x, y, z] and _has_an_open_side(opened, x, y, z):
                    for camera in range(len(starts)):
                        start = (starts[camera, 0], starts[camera, 1], starts[camera, 2])
                        direction = (x + 0.5 - start[0], y + 0.5 - start[1], z + _TOP - start[2])
                        if _is_open(opened, *_before(x, y, z, direction)) and _shows(pixels, sizes, camera, direction):
                            mark_passed(solid, start, direction, seen)


@inlined
def _has_an_open_side(opened: Bools, x: int, y: int, z: int) -> bool:
    """Most that were missed are below ground or within something, and need no look from each camera."""
    return (
        _is_open(opened, x, y, z + 1)
        or _is_open(opened, x - 1, y, z)
        or _is_open(opened, x + 1, y, z)
        or _is_open(opened, x, y - 1, z)
        or _is_open(opened, x, y + 1, z)
        or _is_open(opened, x, y, z - 1)
    )


@inlined
def _before(x: int, y: int, z: int, direction: Triple) -> tuple[int, int, int]:
    """The voxel from which a ray enters voxel x, y, z on its way to the middle of its top."""
    along_x, along_y, along_z = abs(direction[0]), abs(direction[1]), abs(direction[2])
    depth = _TOP if direction[2] > 0.0 else 1.0 - _TOP  # from the lower or the upper side
    if along_y <= along_x and 0.5 * along_z <= depth * along_x:
        return x - _sign(direction[0]), y, z
    if 0.5 * along_z <= depth * along_y:
        return x, y - _sign(direction[1]), z
    return x, y, z - _sign(direction[2])


@inlined
def _is_open(opened: Bools, x: int, y: int, z: int) -> bool:
    """Whether rays have passed a voxel of the grid, or one beside it, and go on from it."""
    return bool(opened[np.uintp(x + 1), np.uintp(y + 1), np.uintp(z + 1)])


@inlined
def _times(matrices: Floats, index: int, x: float, y: float, z: float) -> Triple:
    """A (3, 3) matrix times (x, y, z)."""
    return (
        matrices[index, 0, 0] * x + matrices[index, 0, 1] * y + matrices[index, 0, 2] * z,
        matrices[index, 1, 0] * x + matrices[index, 1, 1] * y + matrices[index, 1, 2] * z,
        matrices[index, 2, 0] * x + matrices[index, 2, 1] * y + matrices[index, 2, 2] * z,
    )


@inlined
def _shows(pixels: Floats, sizes: Floats, camera: int, direction: Triple) -> bool:
    """Whether what lies in a ``direction`` from a camera is in its image."""
    u, v, depth = _times(pixels, camera, direction[0], direction[1], direction[2])
    return depth > 0.0 and 0.0 <= u <= sizes[camera, 0] * depth and 0.0 <= v <= sizes[camera, 1] * depth


@inlined
def _sign(number: float) -> int:
    return 1 if number > 0.0 else -1
