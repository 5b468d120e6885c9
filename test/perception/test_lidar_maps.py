"""LiDAR points as maps, against the recorded ones and by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.perception.framing import RigMatrices, RigPoses
from gdfusion_ros.perception.lidar_maps import SeenReturns, class_maps, depth_maps, seen_returns
from gdfusion_ros.perception.poses import pose_matrix, product
from gdfusion_ros.perception.types import LidarSweep
from gdfusion_ros.settings import SURROUND_CAMERAS

BINS = DepthBins(1.0, 0.5, 88)
SIZE = (256, 704)
Floats = NDArray[np.float32]


def matrices(cameras: int, intrinsics: Floats | None = None) -> RigMatrices:
    """Of images that are the cameras' own; without a lens a point's x and y over its depth are its pixel."""
    eye = np.tile(np.eye(4, dtype=np.float32), (cameras, 1, 1))
    return RigMatrices(
        intrinsics=eye[:, :3, :3] if intrinsics is None else intrinsics,
        post_rotation=eye[:, :3, :3],
        post_translation=np.zeros((cameras, 3), np.float32),
        volume_from_camera=eye,
        visible=np.ones(cameras, bool),
        previous_camera_from_camera=eye,
        previous_ego_from_ego=eye[0],
    )


def at_the_origin(cameras: int) -> RigPoses:
    """Cameras where the LiDAR is."""
    return RigPoses(np.eye(4), np.tile(np.eye(4), (cameras, 1, 1)), np.eye(4))


def maps_of(points: Floats, of_images: RigMatrices, size: tuple[int, int] = SIZE) -> Floats:
    """Depth maps of what the cameras see from the origin."""
    now = at_the_origin(len(of_images.visible))
    return depth_maps(LidarSweep(points, np.eye(4)), now, of_images, size, BINS)


@pytest.fixture
def points(recordings: Path) -> tuple[dict[str, NDArray[np.generic]], Floats]:
    """The recording of one image, and its points as the camera sees them."""
    with np.load(recordings / 'lidar_depth.npz') as file:
        recorded = {name: file[name] for name in file.files}
    u, v, depth, _ = recorded['points_uvd_label'].T
    return recorded, np.stack([u * depth, v * depth, depth], 1)


def test_the_recorded_pixels_have_the_recorded_depths(points: tuple[dict[str, NDArray[np.generic]], Floats]) -> None:
    """But for a few with two returns of one key, of which the release takes either, as its sort happens to run."""
    recorded, seen = points
    maps = maps_of(seen, matrices(1))
    expected = np.zeros(SIZE, np.float32)
    expected[tuple(recorded['depth_yx'].astype(int).T)] = recorded['depth_val']
    u, v, depth, _ = recorded['points_uvd_label'].T
    row, column = np.rint(v), np.rint(u)
    key = column + row * SIZE[1] + depth / 100
    differs = np.argwhere(np.abs(maps[0] - expected) > 1e-5)
    assert len(differs) <= 6
    for y, x in differs:
        assert len(np.unique(key[(row == y) & (column == x) & (depth >= 1)])) == 1


def test_the_recorded_cells_have_the_recorded_classes(points: tuple[dict[str, NDArray[np.generic]], Floats]) -> None:
    """Recorded classes are one more, for the unused slot."""
    recorded, seen = points
    returns = seen_returns(LidarSweep(seen, np.eye(4)), at_the_origin(1), matrices(1), SIZE, BINS)
    rows, columns = recorded['depth_yx'].astype(int).T
    place = rows * SIZE[1] + columns
    order = np.argsort(place)
    assert np.array_equal(returns.place, place[order])
    classes = recorded['points_uvd_label'][:, 3].astype(np.uint8)
    recorded_classes = recorded['sem_val'][order].astype(np.uint8)
    assert (classes[returns.point] + 1 != recorded_classes).sum() <= 6, 'those of one key'
    kept = SeenReturns(place[order], np.arange(len(place)), recorded['depth_val'][order].astype(np.float32))
    found = class_maps(kept, recorded_classes, (1, *SIZE), 16)
    assert np.array_equal(found, recorded['sem_down'][0])
    assert (found == 255).any()


def test_of_two_returns_on_a_pixel_the_key_decides() -> None:
    """Far down the image it tells depths apart to 1.6 m."""
    for nearer, taken in ((0.1, 20.0), (4.0, 16.0)):
        two = np.array([[700.0, 250.0, 1.0]] * 2, np.float32) * np.array([[20.0], [20.0 - nearer]], np.float32)
        assert maps_of(two, matrices(1))[0, 250, 700] == taken


def test_points_are_placed_by_the_motion_between_the_stamps(recordings: Path) -> None:
    """As recorded; and with the bits that they have everywhere, as torch computed them, too."""
    recorded = np.load(recordings / 'camera_pipeline.npz')

    def pose(name: str) -> NDArray[np.float64]:
        w, x, y, z = recorded[f'cur/{name}_rotation']
        return pose_matrix(tuple(recorded[f'cur/{name}_translation']), (x, y, z, w))

    cameras = [product(pose(f'{name}/ego2global'), pose(f'{name}/sensor2ego')) for name in SURROUND_CAMERAS]
    of_images = replace(
        matrices(6, recorded['occ3d/intrins']),
        post_rotation=recorded['occ3d/post_rots'],
        post_translation=recorded['occ3d/post_trans'],
    )
    sweep = LidarSweep(recorded['lidar_points'], product(pose('ego2global'), pose('lidar2ego')))
    maps = depth_maps(sweep, RigPoses(np.eye(4), np.stack(cameras), np.eye(4)), of_images, SIZE, BINS)
    expected = np.zeros((6, *SIZE), np.float32)
    expected[tuple(recorded['depth_cam_y_x'].astype(int).T)] = recorded['depth_val']
    differs = np.abs(maps - expected) > 1e-2
    assert differs.sum() < 0.01 * (expected > 0).sum()
    digest = hashlib.sha256(maps.tobytes()).hexdigest()
    assert digest == '38579cc3eadeede8bac78a229bdc8a9d73f7ca61db2dd8e2afb836cc2fac5f81'


def test_out_of_range_behind_and_masked() -> None:
    given: Floats = np.array(
        [
            [0.0, 0.0, 0.99],
            [0.0, 0.0, 5.0],
            [0.02, 0.0, 3.0],
            [1.0, 1.0, 45.0],
            [1.0, 0.0, -4.0],
            [9e9, 0.0, 7.0],
            [3e38, 3e38, 7.0],
        ],
        np.float32,
    )
    lens = np.array([[[10.0, 0.0, 2.0], [0.0, 10.0, 1.0], [0.0, 0.0, 1.0]]] * 2, np.float32)
    of_images = replace(matrices(2, lens), visible=np.array([True, False]))
    expected = np.zeros((2, 3, 5), np.float32)
    expected[0, 1, 2] = 3.0  # nearer than 5 m in the same pixel; what is nearer than the first bin hides nothing
    assert np.array_equal(maps_of(given, of_images, (3, 5)), expected)
    assert not maps_of(given[:0], of_images, (3, 5)).any()
