"""Synthetic labels of the synthetic nuScenes, as files and in a bag."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.datasets import nuscenes, occ3d
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.outputs import OCCUPANCY
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

SHAPE = OCC3D_NUSCENES.grid.shape

Labels = NDArray[np.uint8]
WriteGrids = Callable[..., Path]


def made_labels(seed: int) -> occ3d.Occ3DLabels:
    """Ground, and blocks of every class on it; the cameras see what is ahead."""
    random = np.random.default_rng(seed)
    semantics = np.full(SHAPE, OCC3D_NUSCENES.free, np.uint8)
    semantics[:, :, :2] = 11
    for number in range(120):
        x, y = random.integers(0, 190, 2)
        length, width, height = random.integers(1, 12, 3)
        semantics[x : x + length, y : y + width, 2 : 2 + height] = number % 17
    mask = np.zeros(SHAPE, np.bool_)
    mask[60:, 20:180] = random.random((140, 160, 16)) < 0.7
    return occ3d.Occ3DLabels(semantics, mask, mask)


@pytest.fixture(scope='session')
def dataset(nuscenes_root: Path) -> Dataset:
    """scene-0001 and scene-0002 of the synthetic nuScenes, three key frames each."""
    return nuscenes.load(nuscenes_root)


@pytest.fixture(scope='session')
def labels(dataset: Dataset) -> dict[str, occ3d.Occ3DLabels]:
    """Sample token -> synthetic labels. To read, never to change."""
    samples = [sample for scene in dataset.scenes for sample in scene.samples]
    return {sample.token: made_labels(seed) for seed, sample in enumerate(samples)}


@pytest.fixture(scope='session')
def labelled_root(
    dataset: Dataset, labels: dict[str, occ3d.Occ3DLabels], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The synthetic nuScenes with Occ3D's labels: of scene-0001 three, of scene-0002 two. To read, never to change."""
    root = tmp_path_factory.mktemp('labelled')
    for folder in (dataset.version, 'samples'):
        (root / folder).symlink_to(dataset.root / folder)
    for scene in dataset.scenes:
        for sample in scene.samples[: 3 if scene.name == 'scene-0001' else 2]:
            occ3d.write(occ3d.label_path(root, scene.name, sample.token), labels[sample.token])
    return root


@pytest.fixture(scope='session')
def truth_bags(labelled_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both scenes with images, poses, tokens and labels. To read, never to change."""
    jobs = plan(nuscenes.load(labelled_root), tmp_path_factory.mktemp('truth'), Content(labels=True))
    for job in jobs:
        convert(job)
    return [job.path for job in jobs]


@pytest.fixture(scope='session')
def write_grids() -> WriteGrids:
    """``write_grids(path, grids, topic)``: a bag of grids, recorded at their stamps."""

    def write(
        path: Path,
        grids: Sequence[SemanticGrid],
        topic: str = '/occ/occupancy',
        custom_data: dict[str, str] | None = None,
    ) -> Path:
        with bag_writer(path, custom_data=custom_data) as bag:
            bag.add_topic(topic, OCCUPANCY.type_name)
            for grid in sorted(grids, key=lambda grid: grid.stamp):
                bag.write(topic, grid.stamp, encode.occupancy(grid, RosbagsFactory()))
        return path

    return write


@pytest.fixture
def prediction(labels: dict[str, occ3d.Occ3DLabels], dataset: Dataset) -> Callable[..., SemanticGrid]:
    """``prediction(token, change)``: the labels of a sample as a model might give them at CAM_FRONT's stamp."""
    samples = {sample.token: sample for scene in dataset.scenes for sample in scene.samples}

    def make(token: str, change: Callable[[Labels], Labels] = lambda semantics: semantics) -> SemanticGrid:
        place = OCC3D_NUSCENES.grid
        return SemanticGrid(
            samples[token].data['CAM_FRONT'].stamp,
            'base_link',
            place.lower,
            place.voxel_size,
            np.asfortranarray(change(labels[token].semantics.copy())),
            None,
            OCC3D_NUSCENES,
            'made',
            1,
            (),
            0,
        )

    return make


@pytest.fixture(scope='session')
def tokens(dataset: Dataset) -> list[list[str]]:
    """The sample tokens of each scene."""
    return [[sample.token for sample in scene.samples] for scene in dataset.scenes]


@pytest.fixture
def scores(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """``scores(arguments)``: what the command prints as JSON."""

    def run(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        assert main(['evaluate', *map(str, arguments), '--format', 'json']) == 0, capsys.readouterr().err
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


@pytest.fixture(scope='session')
def assert_perfect() -> Callable[..., None]:
    """``assert_perfect(result, rays=True)``: every score is 1."""

    def require(result: dict[str, Any], *, rays: bool = True) -> None:
        names = ['mIoU', 'mIoU_D', 'IoU', *(['RayIoU', 'RayIoU@1', 'RayIoU@2', 'RayIoU@4'] if rays else [])]
        assert [result.get(name) for name in names] == [1.0] * len(names)
        assert all(row['IoU'] == 1.0 for row in result['classes'].values())

    return require


@pytest.fixture
def npz(labels: dict[str, occ3d.Occ3DLabels], tokens: list[list[str]], tmp_path: Path) -> Path:
    """The labels of scene-0001 as predictions in files."""
    folder = tmp_path / 'npz'
    folder.mkdir()
    for token in tokens[0]:
        np.savez_compressed(folder / f'{token}.npz', labels[token].semantics)
    return folder
