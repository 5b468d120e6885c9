"""Predictions and key frames find each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.datasets import occ3d
from gdfusion_ros.datasets.labels import FORMATS
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import Content
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.export import npz_folder
from gdfusion_ros.evaluation.frames import Truth
from gdfusion_ros.evaluation.predictions import BagPredictions, NpzPredictions, Predictions, Tally, converted
from gdfusion_ros.evaluation.truth import truth_of_bags, truth_of_dataset
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings

TOPIC = '/occ/occupancy'
SECOND = 1_000_000_000

Prediction = Callable[..., SemanticGrid]
WriteGrids = Callable[..., Path]


@pytest.fixture
def truth(dataset: Dataset, labelled_root: Path) -> Truth:
    """Three labelled key frames of scene-0001, two of scene-0002."""
    return truth_of_dataset(dataset, FORMATS['occ3d_nuscenes'], labelled_root / 'gts', PipelineSettings())


def matched(source: Predictions, truth: Truth) -> tuple[list[tuple[str, int]], Tally]:
    """(token, stamp of the prediction) of every pair, and what became of the predictions."""
    tally = Tally()
    return [(frame.token, grid.stamp) for frame, grid in source.pairs(truth.frames, tally)], tally


def test_files_and_bags_tell_the_same_truth(
    truth: Truth, truth_bags: list[Path], labels: dict[str, occ3d.Occ3DLabels]
) -> None:
    of_bags = truth_of_bags(truth_bags, PipelineSettings(), TopicSettings())
    assert (truth.unlabelled, of_bags.unlabelled) == (1, 1)
    assert len(truth.frames) == 5
    for one, other in zip(truth.frames, of_bags.frames, strict=True):
        assert (one.token, one.stamp, one.camera_stamp) == (other.token, other.stamp, other.camera_stamp)
        assert one.camera_stamp == one.stamp - 35_700_000
        assert (one.drive.token, one.drive.stamps) == (other.drive.token, other.drive.stamps)
        first, second = one.read(), other.read()
        np.testing.assert_array_equal(first.labels, labels[one.token].semantics)
        np.testing.assert_array_equal(second.labels, labels[one.token].semantics)
        assert first.confidence is not None
        assert second.confidence is not None
        np.testing.assert_array_equal(first.confidence, second.confidence)
        assert (first.stamp, first.frame_id) == (second.stamp, second.frame_id) == (one.stamp, 'base_link')
        for stamp in (one.stamp, one.camera_stamp):
            np.testing.assert_allclose(
                one.drive.lidar_places('base_link', stamp), other.drive.lidar_places('base_link', stamp)
            )


def test_the_lidars_places_are_those_of_the_tables(truth: Truth, dataset: Dataset) -> None:
    frame = truth.frames[1]
    x, y, z = frame.drive.lidar_places('base_link', frame.stamp)[1]
    assert (x, y, z) == pytest.approx(dataset.scenes[0].samples[1].data['LIDAR_TOP'].calibration.pose.translation)


def test_grids_of_bags_belong_to_the_nearest_key_frame(
    truth: Truth, prediction: Prediction, write_grids: WriteGrids, tmp_path: Path
) -> None:
    first, second, third, *_ = (prediction(frame.token) for frame in truth.frames)
    shifted = [dataclasses.replace(second, stamp=second.stamp + shift) for shift in (-40_000_000, 30_000_000)]
    alone = dataclasses.replace(third, stamp=third.stamp - 64_400_000)  # 100.1 ms before the LiDAR
    bag = write_grids(tmp_path / 'grids', [first, shifted[0], second, shifted[1], alone])
    pairs, tally = matched(BagPredictions([bag], TOPIC), truth)
    assert pairs == [(truth.frames[0].token, first.stamp), (truth.frames[1].token, shifted[1].stamp)]
    assert tally == Tally(scored=2, unlabelled=1, surplus=2)


def test_a_key_frame_is_scored_once_however_often_a_bag_comes(
    truth: Truth, prediction: Prediction, write_grids: WriteGrids, tmp_path: Path
) -> None:
    bag = write_grids(tmp_path / 'grids', [prediction(frame.token) for frame in truth.frames])
    pairs, tally = matched(BagPredictions([bag], TOPIC), truth)
    assert [token for token, _ in pairs] == [frame.token for frame in truth.frames]
    assert tally == Tally(scored=5)
    again, tally = matched(BagPredictions([bag, bag], TOPIC), truth)
    assert again == pairs
    assert tally == Tally(scored=5, surplus=5)


def test_a_bag_that_knows_its_scene_is_matched_with_no_other(
    truth: Truth, dataset: Dataset, prediction: Prediction, write_grids: WriteGrids, tmp_path: Path
) -> None:
    grids = [prediction(frame.token) for frame in truth.frames]
    # Synthetic datasets call all their first scenes the same: the name says nothing.
    about = {'nuscenes.scene': 'scene-0001', 'nuscenes.scene_token': dataset.scenes[1].token}
    bag = write_grids(tmp_path / 'grids', grids, custom_data=about)
    pairs, tally = matched(BagPredictions([bag], TOPIC), truth)
    assert [token for token, _ in pairs] == [frame.token for frame in truth.frames[3:]]
    assert tally == Tally(scored=2, unlabelled=3)


def test_files_belong_to_the_sample_that_they_are_named_after(truth: Truth, tmp_path: Path) -> None:
    voxels = np.full(OCC3D_NUSCENES.grid.shape, 17, np.uint8)
    for token in (truth.frames[3].token, truth.frames[0].token, 'of-another-dataset'):
        np.savez_compressed(tmp_path / f'{token}.npz', voxels)
    (tmp_path / 'notes.txt').touch()
    pairs, tally = matched(NpzPredictions(tmp_path, OCC3D_NUSCENES), truth)
    assert pairs == [
        (truth.frames[0].token, truth.frames[0].camera_stamp),
        (truth.frames[3].token, truth.frames[3].camera_stamp),
    ]
    assert tally == Tally(scored=2, unlabelled=1)


LAYOUTS: dict[str, Callable[[Path, str, NDArray[np.uint8]], object]] = {
    'a release': lambda folder, token, labels: np.savez_compressed(folder / f'{token}.npz', labels),
    'a folder a sample': lambda folder, token, labels: np.savez_compressed(
        made(folder / token) / 'pred.npz', pred=labels, gt=labels, sample_token=token
    ),
    'int64': lambda folder, token, labels: np.savez(folder / f'{token}.npz', labels.astype(np.int64)),
    'semantics': lambda folder, token, labels: np.savez(folder / f'{token}.npz', semantics=labels),
    'a batch of one': lambda folder, token, labels: np.savez(folder / f'{token}.npz', labels[None]),
    'npy': lambda folder, token, labels: np.save(folder / f'{token}.npy', labels),
}


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
def test_files_in_the_layouts_of_other_tools(
    truth: Truth, tmp_path: Path, layout: Callable[[Path, str, NDArray[np.uint8]], object]
) -> None:
    """Below folders of scenes, whose names nobody needs to know."""
    labels = np.full(OCC3D_NUSCENES.grid.shape, 17, np.uint8)
    labels[3, 4, 5] = 11
    for scene, frame in zip(('scene-0001', 'any'), (truth.frames[3], truth.frames[0]), strict=True):
        layout(made(tmp_path / scene), frame.token, labels)
    found = list(NpzPredictions(tmp_path, OCC3D_NUSCENES).pairs(truth.frames, tally := Tally()))
    assert [frame.token for frame, _ in found] == [truth.frames[0].token, truth.frames[3].token]
    assert all(np.array_equal(grid.labels, labels) for _, grid in found)
    assert tally == Tally(scored=2)


def test_two_files_of_one_sample_are_refused(truth: Truth, tmp_path: Path) -> None:
    for folder in (made(tmp_path / 'old'), made(tmp_path / 'new')):
        np.savez(folder / f'{truth.frames[0].token}.npz', np.full(OCC3D_NUSCENES.grid.shape, 17, np.uint8))
    with pytest.raises(GdfusionError, match=rf'two predictions of sample {truth.frames[0].token}: .*new.*old'):
        matched(NpzPredictions(tmp_path, OCC3D_NUSCENES), truth)


@pytest.mark.parametrize('token', ['', '../../etc', 'a/b', '..', 'a\n', 'x' * 300])
def test_a_token_that_is_no_name_of_a_file_is_not_exported(
    truth: Truth, prediction: Prediction, tmp_path: Path, token: str
) -> None:
    frame, grid = truth.frames[0], prediction(truth.frames[0].token)
    with pytest.raises(GdfusionError, match='token'), npz_folder(tmp_path / 'results') as write:
        write(dataclasses.replace(frame, token=token), grid)
    assert not list(tmp_path.rglob('*'))


def test_a_second_prediction_of_a_token_is_not_exported(truth: Truth, prediction: Prediction, tmp_path: Path) -> None:
    frame, grid = truth.frames[0], prediction(truth.frames[0].token)
    with npz_folder(tmp_path / 'results') as write:
        write(frame, grid)
        with pytest.raises(GdfusionError, match=f'two key frames have the sample token {frame.token}'):
            write(frame, grid)


@pytest.mark.parametrize(
    ('array', 'reason'),
    [
        (np.zeros((200, 200, 17), np.uint8), 'arr_0 is uint8 (200, 200, 17), expected uint8 (200, 200, 16)'),
        (np.zeros((200, 200, 16)), 'arr_0 is float64 (200, 200, 16), expected'),
        (np.full((200, 200, 16), 18, np.uint8), 'there is a class 18; occ3d_nuscenes has 0 to 17'),
        (np.zeros((2, 2), object), 'cannot be read'),
    ],
)
def test_files_that_are_not_in_order_are_explained(
    truth: Truth, tmp_path: Path, array: NDArray[Any], reason: str
) -> None:
    np.savez(tmp_path / f'{truth.frames[0].token}.npz', array)
    with pytest.raises(GdfusionError) as error:
        matched(NpzPredictions(tmp_path, OCC3D_NUSCENES), truth)
    assert truth.frames[0].token in str(error.value)
    assert reason in str(error.value)


def test_every_scene_becomes_a_bag_for_as_long_as_it_is_used(dataset: Dataset) -> None:
    paths = []
    for path in converted(dataset, Content()):
        with bag_reader(path) as bag:
            assert bag.custom_data['nuscenes.scene'] == path.name
        paths.append(path)
    assert [path.name for path in paths] == ['scene-0001', 'scene-0002']
    assert not any(path.exists() for path in paths)


def test_no_labels_at_all_is_an_error(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(GdfusionError) as error:
        truth_of_dataset(dataset, FORMATS['occ3d_nuscenes'], tmp_path, PipelineSettings())
    assert f'no labels of occ3d_nuscenes in {tmp_path}; expected e.g. {tmp_path}/scene-0001/sample-' in str(error.value)
