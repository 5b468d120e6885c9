"""Truth and prediction brought to the same voxels, and what `--frame-of` moves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.alignment import align
from gdfusion_ros.evaluation.frames import Drive
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, SURROUNDOCC_NUSCENES, UNKNOWN
from gdfusion_ros.perception.regrid import voxel_grid
from gdfusion_ros.perception.transforms import TransformError, TransformTree
from gdfusion_ros.perception.types import SemanticGrid, StampedTransform

CAMERA, LIDAR = 1_000, 2_000
PLACE = VoxelGrid((-2.0, -2.0, -1.0), (0.4, 0.4, 0.4), (10, 10, 4))
LEFT_TURN = (0.0, 0.0, 0.5**0.5, 0.5**0.5)


@pytest.fixture
def drive() -> Drive:
    """Between the stamps of camera and LiDAR the vehicle goes two voxels ahead; the LiDAR looks to the left."""
    tree = TransformTree(10_000)
    tree.set(StampedTransform('map', 'base_link', CAMERA, (100.0, 50.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    tree.set(StampedTransform('map', 'base_link', LIDAR, (100.8, 50.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    tree.set_static(StampedTransform('base_link', 'LIDAR_TOP', 0, (0.0, 0.0, 0.0), LEFT_TURN))
    return Drive('scene', (CAMERA, LIDAR), tree, 'map')


def made(seed: int, stamp: int, *, masked: bool = False) -> SemanticGrid:
    random = np.random.default_rng(seed)
    labels = np.asfortranarray(random.integers(0, 18, PLACE.shape, np.uint8))
    mask = np.asfortranarray(random.choice(np.array([0, 255], np.uint8), PLACE.shape))
    return SemanticGrid(
        stamp,
        'base_link',
        PLACE.lower,
        PLACE.voxel_size,
        labels,
        mask if masked else None,
        OCC3D_NUSCENES,
        'made',
        1,
        (),
        0,
    )


@pytest.fixture
def truth() -> SemanticGrid:
    return made(1, LIDAR, masked=True)


@pytest.fixture
def prediction() -> SemanticGrid:
    return made(2, CAMERA)


def same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    return np.array_equal(first, second)


def test_as_released_nothing_moves(truth: SemanticGrid, prediction: SemanticGrid, drive: Drive) -> None:
    assert align(truth, prediction, drive) == (truth, prediction)
    nowhere = dataclasses.replace(drive, transforms=TransformTree(0))
    assert align(truth, prediction, nowhere) == (truth, prediction)


def test_a_prediction_moves_to_the_labels(truth: SemanticGrid, prediction: SemanticGrid, drive: Drive) -> None:
    prediction.labels[5, 5, 2] = UNKNOWN
    there, moved = align(truth, prediction, drive, 'label')
    assert (moved.stamp, moved.frame_id) == (LIDAR, 'base_link')
    assert same(moved.labels[:-2], prediction.labels[2:])
    # What the vehicle comes to see beyond the prediction does not count.
    assert same(there.labels[:-2], truth.labels[:-2])
    assert (there.labels[-2:] == UNKNOWN).all()
    assert there.confidence is truth.confidence


def test_labels_move_to_the_prediction_with_their_mask(
    truth: SemanticGrid, prediction: SemanticGrid, drive: Drive
) -> None:
    moved, here = align(truth, prediction, drive, 'prediction')
    assert here is prediction
    assert (moved.stamp, moved.frame_id) == (CAMERA, 'base_link')
    assert same(moved.labels[2:], truth.labels[:-2])
    assert (moved.labels[:2] == UNKNOWN).all()
    assert moved.confidence is not None
    assert truth.confidence is not None
    assert same(moved.confidence[2:], truth.confidence[:-2])
    assert not moved.confidence[:2].any()


def test_grids_in_the_frame_of_the_lidar_are_turned_whatever_moves(
    truth: SemanticGrid, prediction: SemanticGrid, drive: Drive
) -> None:
    sideways = dataclasses.replace(truth, frame_id='LIDAR_TOP')
    _, released = align(sideways, prediction, drive)
    assert same(released.labels, np.rot90(prediction.labels, -1))
    _, moved = align(sideways, prediction, drive, 'label')
    ahead = np.full_like(prediction.labels, UNKNOWN)
    ahead[:-2] = prediction.labels[2:]
    assert same(moved.labels, np.rot90(ahead, -1))
    labels, _ = align(sideways, prediction, drive, 'prediction')
    assert same(labels.labels[2:], np.rot90(truth.labels)[:-2])


def test_other_voxels_are_sampled_at_the_labels_centres(
    truth: SemanticGrid, prediction: SemanticGrid, drive: Drive
) -> None:
    coarse = dataclasses.replace(prediction, voxel_size=(0.8, 0.8, 0.8), labels=prediction.labels[::2, ::2, ::2])
    there, fine = align(truth, coarse, drive)
    assert there is truth
    assert voxel_grid(fine) == PLACE
    assert same(fine.labels, coarse.labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_a_prediction_that_is_too_small_is_unknown_beyond(
    truth: SemanticGrid, prediction: SemanticGrid, drive: Drive
) -> None:
    small = dataclasses.replace(prediction, labels=prediction.labels[:6])
    there, whole = align(truth, small, drive)
    assert there is truth
    assert same(whole.labels[:6], small.labels)
    assert (whole.labels[6:] == UNKNOWN).all()


def test_different_label_sets_cannot_be_compared(truth: SemanticGrid, prediction: SemanticGrid, drive: Drive) -> None:
    other = dataclasses.replace(prediction, label_set=SURROUNDOCC_NUSCENES)
    with pytest.raises(GdfusionError, match='the prediction has labels of surroundocc_nuscenes, the truth of occ3d'):
        align(truth, other, drive)


def test_poses_that_are_not_known_are_named(truth: SemanticGrid, prediction: SemanticGrid, drive: Drive) -> None:
    early = dataclasses.replace(prediction, stamp=CAMERA - 1)
    with pytest.raises(TransformError, match=r"no transform of 'base_link' at 0\.000000999"):
        align(truth, early, drive, 'label')


def test_places_of_the_lidar(drive: Drive) -> None:
    np.testing.assert_allclose(drive.lidar_places('base_link', LIDAR), [[-0.8, 0.0, 0.0], [0.0, 0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(drive.lidar_places('LIDAR_TOP', LIDAR), [[0.0, 0.8, 0.0], [0.0, 0.0, 0.0]], atol=1e-12)
