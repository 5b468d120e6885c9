"""LiDAR points as depth maps, against the recorded ones and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.depth.lidar import SeenReturns, depth_maps, nearest_classes, seen_returns
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Calibration
from gdfusion_ros.perception.poses import inverse, pose_matrix, product
from gdfusion_ros.settings import SURROUND_CAMERAS

BINS = DepthBins(1.0, 0.5, 88)
SIZE = (256, 704)


def calibration(cameras: int, intrinsics: Tensor) -> Calibration:
    """Of images that are the cameras' own."""
    return Calibration(
        intrinsics,
        torch.eye(3).expand(cameras, 3, 3),
        torch.zeros(cameras, 3),
        torch.eye(4).expand(cameras, 4, 4),
        torch.eye(3),
        torch.ones(cameras, dtype=torch.bool),
    )


@pytest.fixture
def points(recordings: Path) -> tuple[dict[str, Tensor], Tensor]:
    """The recording of one image, and its points as the camera sees them."""
    with np.load(recordings / 'lidar_depth.npz') as file:
        recorded = {name: torch.from_numpy(file[name]) for name in file.files}
    u, v, depth, _ = recorded['points_uvd_label'].unbind(1)
    return recorded, torch.stack([u * depth, v * depth, depth], 1)


def test_the_recorded_pixels_have_the_recorded_depths(points: tuple[dict[str, Tensor], Tensor]) -> None:
    """But for a few with two returns of one key, of which the release takes either, as its sort happens to run."""
    recorded, seen = points
    maps = depth_maps(seen, torch.eye(4)[None], calibration(1, torch.eye(3)[None]), SIZE, BINS)
    rows, columns = recorded['depth_yx'].long().T
    expected = torch.zeros(SIZE).index_put_((rows, columns), recorded['depth_val'])
    u, v, depth, _ = recorded['points_uvd_label'].unbind(1)
    row, column = v.round(), u.round()
    key = column + row * SIZE[1] + depth / 100
    differs = ((maps[0] - expected).abs() > 1e-5).nonzero()
    assert len(differs) <= 6
    for y, x in differs:
        there = ((row == y) & (column == x) & (depth >= 1)).nonzero()[:, 0]
        assert len(key[there].unique()) == 1


def test_the_recorded_cells_have_the_recorded_classes(points: tuple[dict[str, Tensor], Tensor]) -> None:
    """Recorded classes are one more, for the unused slot."""
    recorded, seen = points
    returns = seen_returns(seen, torch.eye(4)[None], calibration(1, torch.eye(3)[None]), SIZE, BINS)
    rows, columns = recorded['depth_yx'].long().T
    place, order = (rows * SIZE[1] + columns).sort()
    assert torch.equal(returns.place, place)
    classes = recorded['points_uvd_label'][:, 3].to(torch.uint8)
    assert (classes[returns.point] + 1 != recorded['sem_val'][order]).sum() <= 6, 'those of one key'
    kept = SeenReturns(place, torch.arange(len(place)), recorded['depth_val'][order])
    found = nearest_classes(kept, recorded['sem_val'][order].to(torch.uint8), (1, *SIZE), 16, 255)
    assert torch.equal(found, recorded['sem_down'][0])
    assert (found == 255).any()


def test_of_two_returns_on_a_pixel_the_key_decides() -> None:
    """Far down the image it tells depths apart to 1.6 m."""
    for nearer, taken in ((0.1, 20.0), (4.0, 16.0)):
        two = torch.tensor([[700.0, 250.0, 1.0]] * 2) * torch.tensor([[20.0], [20.0 - nearer]])
        maps = depth_maps(two, torch.eye(4)[None], calibration(1, torch.eye(3)[None]), SIZE, BINS)
        assert maps[0, 250, 700] == taken


def test_points_are_placed_by_the_motion_between_the_stamps(recordings: Path) -> None:
    recorded = np.load(recordings / 'camera_pipeline.npz')

    def pose(name: str) -> NDArray[np.float64]:
        w, x, y, z = recorded[f'cur/{name}_rotation']
        return pose_matrix(tuple(recorded[f'cur/{name}_translation']), (x, y, z, w))

    lidar = product(pose('ego2global'), pose('lidar2ego'))
    cameras = np.stack(
        [
            product(inverse(product(pose(f'{camera}/ego2global'), pose(f'{camera}/sensor2ego'))), lidar)
            for camera in SURROUND_CAMERAS
        ]
    )
    given = {name: torch.from_numpy(recorded[f'occ3d/{name}']) for name in ('intrins', 'post_rots', 'post_trans')}
    of_images = replace(
        calibration(6, given['intrins']), post_rotation=given['post_rots'], post_translation=given['post_trans']
    )
    points = torch.from_numpy(recorded['lidar_points'])
    maps = depth_maps(points, torch.from_numpy(cameras).float(), of_images, SIZE, BINS)
    expected = torch.zeros(6, *SIZE)
    expected[tuple(torch.from_numpy(recorded['depth_cam_y_x'].astype(int)).T)] = torch.from_numpy(recorded['depth_val'])
    differs = (maps - expected).abs() > 1e-2
    assert differs.sum() < 0.01 * (expected > 0).sum()


def test_out_of_range_behind_and_masked(recordings: Path) -> None:
    given: list[Any] = [
        [0.0, 0.0, 0.99],
        [0.0, 0.0, 5.0],
        [0.02, 0.0, 3.0],
        [1.0, 1.0, 45.0],
        [1.0, 0.0, -4.0],
        [9e9, 0.0, 7.0],
    ]
    intrinsics = torch.tensor([[[10.0, 0.0, 2.0], [0.0, 10.0, 1.0], [0.0, 0.0, 1.0]]]).expand(2, 3, 3)
    of_images = replace(calibration(2, intrinsics), visible=torch.tensor([True, False]))
    maps = depth_maps(torch.tensor(given), torch.eye(4).expand(2, 4, 4), of_images, (3, 5), BINS)
    expected = torch.zeros(2, 3, 5)
    expected[0, 1, 2] = 3.0  # nearer than 5 m in the same pixel; what is nearer than the first bin hides nothing
    assert torch.equal(maps, expected)
    assert not depth_maps(torch.zeros(0, 3), torch.eye(4).expand(2, 4, 4), of_images, (3, 5), BINS).any()
