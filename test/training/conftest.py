"""A small labelled dataset, and a network small enough to train in a test."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gdfusion_ros.datasets import nuscenes, occ3d
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.model import zoo
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.training.settings import TrainingSettings

SCRIPT = """
import sys
from functools import partial
from gdfusion_ros.cli import main
from gdfusion_ros.model import zoo
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.nano import Sizes, nano
from gdfusion_ros.model.spec import NetworkSpec

zoo.ZOO['tiny'] = zoo.Entry({spec}, partial(nano, sizes={sizes}))
if __name__ == '__main__':
    sys.exit(main())
"""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The networks are so small that a second thread only costs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def labelled_root(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic nuScenes folder with LiDAR sweeps, and with labels for its first scene."""
    root = tmp_path_factory.mktemp('labelled') / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    random = np.random.default_rng(0)
    dataset = nuscenes.load(root)
    for scene in dataset.scenes:
        for sample in scene.samples:
            lidar = sample.data['LIDAR_TOP'].path
            lidar.parent.mkdir(parents=True, exist_ok=True)
            points = random.uniform(-20, 20, (500, 5)).astype(np.float32)
            points[:, 4] = random.integers(0, 32, 500)
            points.tofile(lidar)
    for sample in dataset.scenes[0].samples:
        semantics = np.full((200, 200, 16), 17, np.uint8)
        semantics[:, :, 2], semantics[:, :60, 2:8], semantics[20:40, 150:170, 3] = 11, 15, 4
        seen = np.zeros(semantics.shape, np.bool_)
        seen[40:160] = True
        occ3d.write(occ3d.label_path(root, dataset.scenes[0].name, sample.token), Occ3DLabels(semantics, seen, seen))
    return root


@pytest.fixture(scope='session')
def source(labelled_root: Path) -> Dataset:
    """The scenes of that folder."""
    return nuscenes.load(labelled_root)


@pytest.fixture
def tiny_spec(monkeypatch: pytest.MonkeyPatch, tiny_entry: zoo.Entry) -> NetworkSpec:
    """Of a network that the zoo knows as 'tiny'."""
    monkeypatch.setitem(zoo.ZOO, 'tiny', tiny_entry)
    return tiny_entry.spec


@pytest.fixture
def tiny_gdfusion(tmp_path: Path, tiny_entry: zoo.Entry) -> Path:
    """A script that is the command line with that network in the zoo, for processes of their own."""
    script = tmp_path / 'tiny_gdfusion.py'
    assert isinstance(tiny_entry.build, partial)
    script.write_text(SCRIPT.format(spec=tiny_entry.spec, **tiny_entry.build.keywords))
    return script


@pytest.fixture
def settings() -> TrainingSettings:
    """A few steps without worker processes."""
    return dataclasses.replace(
        TrainingSettings(),
        model='tiny',
        steps=6,
        slots=2,
        warmup_steps=2,
        workers=0,
        learning_rate=2e-3,
        final_learning_rate=1e-3,
        checkpoint_every=2,
        validate_every=0,
    )
