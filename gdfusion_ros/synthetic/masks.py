"""What of a voxel grid the sensors observe, as Occ3D's masks say it.

Rays from a sensor walk the labels voxel by voxel; what they pass is observed, up to and including the first occupied
voxel.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.poses import inverse
from gdfusion_ros.perception.ray_traversal import mark_passed
from gdfusion_ros.perception.types import Matrix
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


def surface_rays(occupied: NDArray[np.bool_], grid: VoxelGrid, world_from_grid: Matrix, view: PinholeCamera) -> Floats:
    """(n, 3) directions, in the world, of rays to the tops of the occupied voxels that lie within a camera's image.

    Level ground far away is narrower than the space between evenly spread rays.
    """
    tops = np.add(np.argwhere(occupied), (0.5, 0.5, 0.99)) * grid.voxel_size + np.array(grid.lower)
    directions = tops @ world_from_grid[:3, :3].T + (world_from_grid[:3, 3] - view.world_from_camera[:3, 3])
    pixels = directions @ (view.intrinsics @ view.world_from_camera[:3, :3].T).T
    inside = (
        (pixels[:, 2] > 0)
        & (pixels[:, :2] >= 0).all(axis=1)
        & (pixels[:, :2] <= pixels[:, 2:] * (view.width, view.height)).all(axis=1)
    )
    return np.asarray(directions[inside], np.float64)


def lidar_rays() -> Floats:
    """(n, 3) unit vectors in the frame of nuScenes' LIDAR_TOP (x right, y forward), beam by beam."""
    azimuths = np.arange(AZIMUTHS) * (2 * math.pi / AZIMUTHS)
    elevation, azimuth = np.meshgrid(ELEVATIONS, azimuths, indexing='ij')
    flat = np.cos(elevation)
    rays = np.stack([flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation)], -1)
    return np.asarray(rays.reshape(-1, 3), np.float64)


def observed(
    occupied: NDArray[np.bool_], grid: VoxelGrid, world_from_grid: Matrix, origin: Floats, directions: Floats
) -> NDArray[np.bool_]:
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
    _mark(occupied, start, directions @ grid_from_world[:3, :3].T / size, seen)
    return seen


@numba.njit(cache=True, nogil=True)
def _mark(occupied, start, directions, seen):  # type: ignore[no-untyped-def]
    """Marks in ``seen`` what the rays pass; start and directions are in voxels."""
    for ray in range(directions.shape[0]):
        mark_passed(
            occupied, (start[0], start[1], start[2]), (directions[ray, 0], directions[ray, 1], directions[ray, 2]), seen
        )
