"""What rays observe, against a slow and obvious walk, and where the sensors' rays go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.synthetic.masks import AZIMUTHS, camera_rays, lidar_rays, observed, surface_rays
from gdfusion_ros.synthetic.world import PinholeCamera

GRID = VoxelGrid((-2.0, -1.0, 0.0), (0.5, 0.25, 0.5), (8, 10, 6))


def slowly_observed(
    occupied: NDArray[np.bool_], origin: NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Step by step along one ray, a thousandth of a metre at a time; where it starts does not end it."""
    seen, first = np.zeros(GRID.shape, np.bool_), np.floor((origin - GRID.lower) / GRID.voxel_size)
    for way in np.arange(0.0, 12.0, 0.001):
        voxel = np.floor((origin + way * direction - GRID.lower) / GRID.voxel_size).astype(int)
        if (voxel >= 0).all() and (voxel < GRID.shape).all():
            seen[tuple(voxel)] = True
            if occupied[tuple(voxel)] and (voxel != first).any():
                break
    return seen


@pytest.mark.slow
def test_rays_observe_what_they_pass_up_to_the_first_occupied_voxel() -> None:
    random = np.random.default_rng(0)
    occupied = random.random(GRID.shape) < 0.05
    for _ in range(40):
        origin, direction = random.uniform(-3, 3, 3), random.normal(size=3)
        direction /= np.linalg.norm(direction)
        fast = observed(occupied, GRID, np.eye(4), origin, direction[None])
        slow = slowly_observed(occupied, origin, direction)
        # Stepping may miss a corner that the ray only touches.
        assert not (slow & ~fast).any()
        assert (fast & ~slow).sum() <= 2


def test_rays_along_an_axis() -> None:
    occupied = np.zeros(GRID.shape, np.bool_)
    occupied[5, 4, 2] = True
    seen = observed(occupied, GRID, np.eye(4), np.array([-5.0, 0.1, 1.2]), np.array([[2.0, 0.0, 0.0]]))
    assert np.argwhere(seen).tolist() == [[x, 4, 2] for x in range(6)]


def test_the_grid_lies_in_its_own_frame() -> None:
    world_from_grid = np.eye(4)
    world_from_grid[:2, :2] = [[0, -1], [1, 0]]  # the grid's x axis points along the world's y
    world_from_grid[:3, 3] = 10, 20, 0
    seen = observed(
        np.zeros(GRID.shape, np.bool_), GRID, world_from_grid, np.array([9.9, 0.0, 1.2]), np.array([[0.0, 1.0, 0.0]])
    )
    assert np.argwhere(seen).tolist() == [[x, 4, 2] for x in range(8)]


def camera() -> PinholeCamera:
    """At the origin, 1 m up, looking along x."""
    world_from_camera = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]], float)
    return PinholeCamera(80, 40, np.array([[50.0, 0, 40], [0, 50, 20], [0, 0, 1]]), world_from_camera)


def test_camera_rays_fill_the_image_and_no_more() -> None:
    rays = camera_rays(camera())
    across, up = rays[:, 1] / rays[:, 0], rays[:, 2] / rays[:, 0]
    assert (rays[:, 0] > 0).all()
    np.testing.assert_allclose([across.min(), across.max(), up.min(), up.max()], [-0.8, 0.8, -0.4, 0.4])
    assert np.diff(np.unique(across.round(9))).max() < 0.0051


def test_level_ground_is_observed_without_gaps() -> None:
    grid = VoxelGrid((-40.0, -40.0, -1.0), (0.4, 0.4, 0.4), (200, 200, 16))
    ground = np.zeros(grid.shape, np.bool_)
    ground[:, :, 2] = True
    view = camera()
    rays = surface_rays(ground, grid, np.eye(4), view)
    seen = observed(ground, grid, np.eye(4), view.world_from_camera[:3, 3], rays)
    ahead = seen[110:195, 100, 2]  # from 4 m to 38 m straight ahead
    assert ahead.mean() > 0.98
    assert not seen[:99].any()


def test_lidar_beams() -> None:
    rays = lidar_rays().reshape(32, AZIMUTHS, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    elevations = np.degrees(np.arcsin(rays[:, 0, 2]))
    np.testing.assert_allclose(elevations[[0, -1]], [-30.67, 10.67])
    assert math.isclose(rays[23, 0, 1], 1.0, abs_tol=1e-3)  # azimuth 0 is the sensor's y, the vehicle's front
