"""What rays through the image cells meet in the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.objectives.interface import IGNORE, RaySupervision
from gdfusion_ros.perception.framing import PostTransform, RigPoses, frame_of, rig_matrices
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.training.ray_supervision import RAYS, look

GROUND, WALL, CAR, FREE = 11, 15, 4, 17
HEIGHT, FOCAL = 1.5, 32.0
SIZE, STRIDE = (32, 64), 8
BINS = DepthBins(1.0, 1.0, 30)
LOOKING_FORWARD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, HEIGHT], [0, 0, 0, 1.0]])


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    """Level ground with its top at z = 0.2, a wall 20 m ahead, a van on the left in front of it."""
    labels = np.full(OCC3D_NUSCENES.grid.shape, FREE, np.uint8)
    labels[..., :3] = GROUND
    labels[150:152] = WALL
    labels[120:125, 110:130, 3:10] = CAR
    return labels


def frame(post: PostTransform | None = None) -> Frame:
    """One camera that looks straight ahead from above the origin."""
    intrinsics = np.array([[FOCAL, 0, 31.5], [0, FOCAL, 15.5], [0, 0, 1]])
    poses = RigPoses(np.eye(4), LOOKING_FORWARD[None], np.eye(4))
    return frame_of(
        torch.zeros(1, 3, *SIZE),
        rig_matrices([intrinsics], [post or PostTransform(np.eye(3), np.zeros(3))], poses, None, [True]),
    )


def seen(labels: NDArray[np.uint8], at: Frame) -> RaySupervision:
    return look(labels, OCC3D_NUSCENES, at, BINS, STRIDE)


def test_ground_wall_and_car_are_met_where_they_are(labels: NDArray[np.uint8]) -> None:
    rays = seen(labels, frame())
    assert rays.bins.shape == rays.classes.shape == (1, RAYS * 4, RAYS * 8)
    classes, depths = rays.classes[0], BINS.first + BINS.step * rays.bins[0]
    assert (classes[-1] == GROUND).all()
    assert classes[3].tolist().count(CAR) > 2  # just above the middle
    assert classes[3, 0] == CAR  # on the left
    assert classes[3, -1] == WALL
    assert 20.0 <= depths[3, -1] <= 20.4  # within the first of its voxels
    assert 8.0 <= depths[3, 0] <= 8.4
    lowest = HEIGHT - 0.2
    row = 31 + 2 - 15.5
    assert abs(float(depths[-1, 0]) - lowest * FOCAL / row) < 0.5


def test_what_is_not_known_is_looked_through(labels: NDArray[np.uint8]) -> None:
    labels[labels == CAR] = UNKNOWN
    assert seen(labels, frame()).classes[0, 3, 0] == WALL


def test_beyond_the_grid_is_the_last_bin_and_no_class(labels: NDArray[np.uint8]) -> None:
    labels[labels == WALL] = FREE
    rays = seen(labels, frame())
    assert rays.classes[0, 0, -1] == IGNORE
    assert rays.bins[0, 0, -1] == BINS.count - 1


def test_mirrored_images_see_mirrored(labels: NDArray[np.uint8]) -> None:
    mirrored = frame(PostTransform(np.diag([-1.0, 1.0, 1.0]), np.array([SIZE[1] - 1, 0.0, 0.0])))
    there, back = seen(labels, frame()), seen(labels, mirrored)
    assert (there.classes == CAR).sum() > 2
    assert torch.equal(back.classes.flip(-1), there.classes)
    assert torch.equal(back.bins.flip(-1), there.bins)
