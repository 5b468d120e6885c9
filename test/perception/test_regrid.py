"""Grids moved between frames and resolutions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.poses import inverse, pose_matrix
from gdfusion_ros.perception.regrid import regrid, voxel_grid
from gdfusion_ros.perception.types import SemanticGrid

PLACE = VoxelGrid((-2.0, -2.0, -0.5), (0.4, 0.4, 0.2), (10, 10, 6))


@pytest.fixture
def grid() -> SemanticGrid:
    random = np.random.default_rng(1)
    labels = np.asfortranarray(random.integers(0, 18, PLACE.shape, np.uint8))
    confidence = np.asfortranarray(random.integers(0, 256, PLACE.shape, np.uint8))
    return SemanticGrid(
        5, 'base_link', PLACE.lower, PLACE.voxel_size, labels, confidence, OCC3D_NUSCENES, 'made', 1, (), 0
    )


def moved(grid: SemanticGrid, target: VoxelGrid, source_from_target: NDArray[np.float64]) -> NDArray[np.uint8]:
    return regrid(grid, target, source_from_target, 'there', 7).labels


def test_the_same_voxels_stay_as_they_are(grid: SemanticGrid) -> None:
    same = regrid(grid, PLACE, np.eye(4), 'there', 7)
    np.testing.assert_array_equal(same.labels, grid.labels)
    assert same.confidence is not None
    assert grid.confidence is not None
    np.testing.assert_array_equal(same.confidence, grid.confidence)
    assert (same.frame_id, same.stamp, voxel_grid(same), same.model) == ('there', 7, PLACE, 'made')
    assert same.labels.flags.f_contiguous


def test_a_vehicle_that_went_ahead_sees_everything_come_nearer(grid: SemanticGrid) -> None:
    ahead = moved(grid, PLACE, pose_matrix((0.8, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    np.testing.assert_array_equal(ahead[:-2], grid.labels[2:])
    assert (ahead[-2:] == UNKNOWN).all()


def test_less_than_half_a_voxel_moves_nothing(grid: SemanticGrid) -> None:
    np.testing.assert_array_equal(
        moved(grid, PLACE, pose_matrix((0.19, -0.19, 0.09), (0.0, 0.0, 0.0, 1.0))), grid.labels
    )


def test_a_quarter_turn(grid: SemanticGrid) -> None:
    turned = moved(grid, PLACE, pose_matrix((0.0, 0.0, 0.0), (0.0, 0.0, 0.5**0.5, 0.5**0.5)))
    # What lies ahead (x) after a turn to the left lay to the left (y) before.
    np.testing.assert_array_equal(turned, np.rot90(grid.labels, -1))


def test_finer_voxels_repeat_and_coarser_ones_take_the_middle(grid: SemanticGrid) -> None:
    finer = moved(grid, VoxelGrid(PLACE.lower, (0.2, 0.2, 0.1), (20, 20, 12)), np.eye(4))
    np.testing.assert_array_equal(finer, grid.labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    coarser = moved(grid, VoxelGrid(PLACE.lower, (1.2, 0.4, 0.6), (3, 10, 2)), np.eye(4))
    np.testing.assert_array_equal(coarser, grid.labels[1:9:3, :, 1::3])


def test_any_rigid_motion_as_one_voxel_after_the_other_gives_it(grid: SemanticGrid) -> None:
    target = VoxelGrid((-1.5, -2.5, -0.3), (0.3, 0.5, 0.25), (9, 8, 5))
    source_from_target = inverse(pose_matrix((0.4, -0.3, 0.1), (0.05, -0.1, 0.4, 0.9)))
    result = moved(grid, target, source_from_target)
    for index in np.ndindex(*target.shape):
        centre = np.array(target.lower) + (np.array(index) + 0.5) * target.voxel_size
        x, y, z = np.floor(((source_from_target @ [*centre, 1.0])[:3] - PLACE.lower) / PLACE.voxel_size).astype(int)
        inside = 0 <= x < 10 and 0 <= y < 10 and 0 <= z < 6
        assert result[index] == (grid.labels[x, y, z] if inside else UNKNOWN)


def test_confidence_is_nothing_where_nothing_is_known(grid: SemanticGrid) -> None:
    away = regrid(grid, PLACE, pose_matrix((100.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)), 'there', 7)
    assert (away.labels == UNKNOWN).all()
    assert away.confidence is not None
    assert not away.confidence.any()
