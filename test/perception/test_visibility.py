"""What the cameras saw of a grid: a wall hides what is behind it, and the synthetic world's masks say the same."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gdfusion_ros.messages.bev import FREE, OCCUPIED, columns
from gdfusion_ros.messages.costmap import UNSEEN
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.perception.visibility import CameraView, Visibility, only_observed
from gdfusion_ros.settings import BevSettings
from gdfusion_ros.synthetic.drive import plan
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.recording import labels
from gdfusion_ros.synthetic.rig import CAMERAS, OFFSETS

ROAD, WALL, CAR = (OCC3D_NUSCENES.by_name(name).id for name in ('driveable_surface', 'manmade', 'car'))
PLACE = VoxelGrid((-8.0, -8.0, -0.4), (0.4, 0.4, 0.4), (40, 40, 10))
WALL_X, CAR_X = 30, 34  # columns of voxels, 4 m and 5.6 m ahead


def ahead(height: float = 1.5) -> CameraView:
    """A camera over the grid's origin that looks along x, 90 degrees wide and 60 high."""
    grid_from_camera = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, height], [0, 0, 0, 1]], float)
    return CameraView(grid_from_camera, np.array([[400.0, 0, 400], [0, 400, 231], [0, 0, 1]]), 800, 462)


def street(*views: CameraView) -> SemanticGrid:
    """Level road; ahead a wall of 2.4 m, 4 m wide, behind it a car, and behind that the road goes on."""
    voxels = np.full(PLACE.shape, OCC3D_NUSCENES.free, np.uint8, order='F')
    voxels[:, :, 0] = ROAD
    voxels[WALL_X, 15:25, 1:7] = WALL
    voxels[CAR_X : CAR_X + 3, 19:22, 1:4] = CAR
    solid = voxels != OCC3D_NUSCENES.free
    return SemanticGrid(
        0,
        'base_link',
        PLACE.lower,
        PLACE.voxel_size,
        voxels,
        None,
        OCC3D_NUSCENES,
        'made',
        2,
        ('front',),
        0,
        visibility=Visibility(solid, PLACE, views),
    )


def test_what_is_behind_a_wall_is_not_seen() -> None:
    seen = street(ahead()).observed
    assert seen[WALL_X, 15:25, 1:7].all(), 'the wall itself'
    assert seen[WALL_X - 1, 15:25].all(), 'before it, free'
    assert not seen[WALL_X + 1 :, 20, :6].any(), 'behind it, road, car and free alike'
    assert seen[WALL_X + 1 : 36, 28, 1].all(), 'beside it'
    assert not seen[:20].any(), 'behind the camera'


def test_free_and_unknown_are_told_apart_on_the_map() -> None:
    cells = columns(street(ahead()), BevSettings())
    assert (cells[WALL_X, 15:25] == OCCUPIED).all()
    assert (cells[27:WALL_X, 20] == FREE).all(), 'from where the image begins'
    assert (cells[WALL_X + 1 :, 20] == UNSEEN).all(), 'neither the car nor the road behind it'
    assert (cells[:19] == UNSEEN).all()


def test_level_ground_far_away_is_seen() -> None:
    place = VoxelGrid((-40.0, -40.0, -0.4), (0.4, 0.4, 0.4), (200, 200, 4))
    ground = np.zeros(place.shape, np.bool_, order='F')
    ground[:, :, 0] = True
    seen = Visibility(ground, place, [ahead()]).observed
    assert seen[110:, 100, 0].all(), 'to 40 m, where a voxel is a thousandth of a radian high'
    assert seen[110:, 100, 1].all()


def test_another_camera_sees_what_one_does_not() -> None:
    behind = ahead()
    turned = behind.grid_from_camera @ np.diag([-1.0, 1.0, -1.0, 1.0])
    both = street(ahead(), dataclasses.replace(behind, grid_from_camera=turned)).observed
    assert both[5:15, 20, 1].all()
    assert np.array_equal(both[21:], street(ahead()).observed[21:])


def test_without_an_image_nothing_is_seen() -> None:
    assert not street().observed.any()


def test_a_camera_is_not_blinded_by_the_voxel_it_is_in() -> None:
    grid = street(ahead())
    blind = np.zeros(PLACE.shape, np.bool_, order='F')
    blind[20, 20, 4] = True
    assert Visibility(blind, PLACE, [ahead()]).observed[21:30, 20, 4].all()
    assert grid.observed[21:30, 20, 4].all()


def test_what_was_not_seen_is_labelled_unknown() -> None:
    grid = only_observed(street(ahead()))
    assert np.array_equal(grid.labels == UNKNOWN, ~grid.observed)
    assert np.array_equal(grid.labels[grid.observed], street().labels[grid.observed])
    assert grid.labels.flags.f_contiguous
    message = dataclasses.replace(grid, visibility=None)
    assert np.array_equal(message.observed, grid.observed), 'the labels of a message tell it'


@pytest.fixture(scope='module')
def made() -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[CameraView]]:
    """Of a synthetic street the occupied voxels, what its exact masks say the cameras see, and the cameras."""
    drive = plan(Recipe(1, 1, 1, 1600, 900, sweeps=False, lidar=False, weather=('clear',)), 0)
    truth, stamp = labels(drive, 0), int(drive.key_stamps[0])
    ego_from_world = inverse(drive.ego_pose(stamp))
    views = [drive.rig.view(channel, drive.ego_pose(stamp + OFFSETS[channel])) for channel in CAMERAS]
    return (
        np.asfortranarray(truth.semantics != OCC3D_NUSCENES.free),
        truth.mask_camera,
        [
            CameraView(product(ego_from_world, view.world_from_camera), view.intrinsics, view.width, view.height)
            for view in views
        ],
    )


def test_the_exact_masks_of_the_synthetic_world_say_the_same(
    made: tuple[NDArray[np.bool_], NDArray[np.bool_], list[CameraView]],
) -> None:
    solid, mask, views = made
    seen = Visibility(solid, OCC3D_NUSCENES.grid, views).observed
    assert (seen == mask).mean() > 0.985
    assert (seen & mask).sum() / (seen | mask).sum() > 0.97
    assert (seen & ~mask).sum() < 0.01 * mask.sum(), 'little is taken for seen that is not'


def test_any_number_of_threads_gives_the_same_bits(
    made: tuple[NDArray[np.bool_], NDArray[np.bool_], list[CameraView]],
) -> None:
    solid, _, views = made
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 2, 2):
            torch.set_num_threads(count)
            found.append(Visibility(solid, OCC3D_NUSCENES.grid, views).observed)
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_it_takes_a_small_part_of_a_frame(made: tuple[NDArray[np.bool_], NDArray[np.bool_], list[CameraView]]) -> None:
    solid, _, views = made
    durations = []
    for _ in range(4):
        begin = time.process_time()
        _ = Visibility(solid, OCC3D_NUSCENES.grid, views).observed
        durations.append(time.process_time() - begin)
    assert min(durations) < 0.1
