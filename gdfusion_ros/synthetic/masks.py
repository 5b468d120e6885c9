"""What of a voxel grid the sensors observe, as Occ3D's masks say it.

Rays from a sensor walk the labels voxel by voxel (Amanatides and Woo, "A fast voxel traversal algorithm for ray
tracing", 1987); what they pass is observed, up to and including the first occupied voxel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.poses import inverse
from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.world import PinholeCamera

Floats = NDArray[np.float64]

ELEVATIONS = tuple(math.radians(-30.67 + 41.34 / 31 * beam) for beam in range(32))
"""Of the LiDAR's beams above its own plane, from ring 0 upward [rad]."""

AZIMUTHS = 1084
"""Directions that each beam measures in a turn."""

_STEP = 0.005  # [rad] between two rays of a camera: 0.3 m at the farthest corner of the grid


def camera_rays(view: PinholeCamera) -> Floats:
    """(n, 3) directions, in the world, of rays that are spread evenly over a camera's image."""
    focal = view.intrinsics[0, 0]
    columns = np.linspace(0, view.width, math.ceil(view.width / focal / _STEP) + 1)
    rows = np.linspace(0, view.height, math.ceil(view.height / focal / _STEP) + 1)
    u, v = np.meshgrid(columns, rows)
    points = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1) @ np.linalg.inv(view.intrinsics).T
    return np.asarray(points @ view.world_from_camera[:3, :3].T, np.float64)


def surface_rays(occupied: NDArray[np.bool_], grid: VoxelGrid, world_from_grid: Matrix,
                 view: PinholeCamera) -> Floats:
    """(n, 3) directions, in the world, of rays to the tops of the occupied voxels that lie within a camera's image.

    Level ground far away is narrower than the space between evenly spread rays.
    """
    tops = np.add(np.argwhere(occupied), (0.5, 0.5, 0.99)) * grid.voxel_size + np.array(grid.lower)
    directions = tops @ world_from_grid[:3, :3].T + (world_from_grid[:3, 3] - view.world_from_camera[:3, 3])
    pixels = directions @ (view.intrinsics @ view.world_from_camera[:3, :3].T).T
    inside = (pixels[:, 2] > 0) & (pixels[:, :2] >= 0).all(axis=1) & (
        pixels[:, :2] <= pixels[:, 2:] * (view.width, view.height)).all(axis=1)
    return np.asarray(directions[inside], np.float64)


def lidar_rays() -> Floats:
    """(n, 3) unit vectors in the frame of nuScenes' LIDAR_TOP (x right, y forward), beam by beam."""
    azimuths = np.arange(AZIMUTHS) * (2 * math.pi / AZIMUTHS)
    elevation, azimuth = np.meshgrid(ELEVATIONS, azimuths, indexing='ij')
    flat = np.cos(elevation)
    rays = np.stack([flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation)], -1)
    return np.asarray(rays.reshape(-1, 3), np.float64)


def observed(occupied: NDArray[np.bool_], grid: VoxelGrid, world_from_grid: Matrix, origin: Floats,
             directions: Floats) -> NDArray[np.bool_]:
    """(X, Y, Z) the voxels that rays observe.

    Args:
        occupied: (X, Y, Z) where rays end.
        grid: Its place in its frame.
        world_from_grid: (4, 4) that frame -> world frame.
        origin: (3,) of the rays in the world.
        directions: (n, 3) in the world, of any length.
    """
    grid_from_world = inverse(world_from_grid)
    size = np.array(grid.voxel_size)
    start = (grid_from_world[:3, :3] @ origin + grid_from_world[:3, 3] - grid.lower) / size
    seen = np.zeros(grid.shape, np.bool_)
    _walk(occupied, start, directions @ grid_from_world[:3, :3].T / size, np.empty(3), seen)
    return seen


@kernel
def _walk(occupied: NDArray[np.bool_], start: Floats, directions: Floats, following: Floats,
          seen: NDArray[np.bool_]) -> None:
    """Marks in ``seen`` what the rays pass; start and directions are in voxels, ``following`` (3,) is room to work."""
    for ray in range(directions.shape[0]):
        entry = _entry(start, directions, ray, occupied.shape)
        if entry >= 0.0:
            _follow(occupied, start, directions, ray, entry, following, seen)


@inlined
def _entry(start: Floats, directions: Floats, ray: int, shape: tuple[int, ...]) -> float:
    """How far along a ray the grid begins, in lengths of the direction; -1 where it misses the grid."""
    enter, leave = 0.0, np.inf
    for axis in range(3):
        direction = directions[ray, axis]
        if direction != 0.0:
            near, far = -start[axis] / direction, (shape[axis] - start[axis]) / direction
            enter, leave = max(enter, min(near, far)), min(leave, max(near, far))
        elif not 0.0 <= start[axis] < shape[axis]:
            leave = -1.0
    return enter if enter < leave else -1.0


@inlined
def _follow(occupied: NDArray[np.bool_], start: Floats, directions: Floats, ray: int, entry: float, following: Floats,
            seen: NDArray[np.bool_]) -> None:
    """Marks what one ray passes from where it enters the grid; ``following`` says where it enters the next voxels."""
    x = _first(start, directions, ray, entry, 0, occupied.shape[0], following)
    y = _first(start, directions, ray, entry, 1, occupied.shape[1], following)
    z = _first(start, directions, ray, entry, 2, occupied.shape[2], following)
    while 0 <= x < occupied.shape[0] and 0 <= y < occupied.shape[1] and 0 <= z < occupied.shape[2]:
        seen[x, y, z] = True
        if occupied[x, y, z]:
            return
        axis = 0
        if following[1] < following[axis]:
            axis = 1
        if following[2] < following[axis]:
            axis = 2
        step = 1 if directions[ray, axis] > 0 else -1
        if axis == 0:
            x += step
        elif axis == 1:
            y += step
        else:
            z += step
        following[axis] += abs(1.0 / directions[ray, axis])


@inlined
def _first(start: Floats, directions: Floats, ray: int, entry: float, axis: int, count: int, following: Floats) -> int:
    """The voxel that a ray enters the grid by, along one axis; sets where it leaves that."""
    direction = directions[ray, axis]
    voxel: int = min(max(math.floor(start[axis] + entry * direction), 0), count - 1)
    following[axis] = np.inf
    if direction != 0.0:
        following[axis] = (voxel + (1 if direction > 0 else 0) - start[axis]) / direction
    return voxel
