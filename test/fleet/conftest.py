"""Labelled bags, and a network small enough to run over them in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.fleet.job import JobSettings
from gdfusion_ros.fleet.record import BagCounts, Record
from gdfusion_ros.fleet.work import Workplace, workplace
from gdfusion_ros.model import zoo
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.nano import Sizes, nano
from gdfusion_ros.model.spec import NetworkSpec

TINY = NetworkSpec(
    name='tiny',
    image_size=(32, 64),
    depth=DepthBins(1.0, 2.0, 8),
    feature_stride=8,
    context_channels=8,
    grid=VoxelGrid((-40.0, -40.0, -1.0), (1.6, 1.6, 1.6), (50, 50, 4)),
    refinement=4,
)
SIZES = Sizes(
    backbone_widths=(16, 16, 16),
    backbone_blocks=(1, 1, 1),
    image_channels=16,
    pyramid_channels=4,
    encoder_channels=(8, 8, 8),
    encoder_blocks=(1, 1, 1),
    classifier_channels=8,
)


@pytest.fixture(scope='session')
def labelled_bags(nuscenes_complete: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """scene-0001 and scene-0002 with labels, three key frames each. To read, never to change."""
    jobs = plan(nuscenes.load(nuscenes_complete), tmp_path_factory.mktemp('fleet'), Content(labels=True))
    for job in jobs:
        convert(job)
    return [job.path for job in jobs]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workplace]]:
    """``tiny(**settings)``: a workplace with a tiny network of random weights, in one thread."""
    threads = torch.get_num_threads()
    monkeypatch.setitem(zoo.ZOO, 'tiny', zoo.Entry(TINY, partial(nano, sizes=SIZES)))

    def make(**settings: Any) -> Workplace:
        return workplace(JobSettings(model={'model': 'tiny', 'untrained': True}, **settings))

    yield make
    torch.set_num_threads(threads)


@pytest.fixture
def record() -> Callable[..., Record]:
    """``record(name, **changed)``: of a bag that nobody has done."""

    def make(name: str, **changed: Any) -> Record:
        counts = BagCounts(
            images=12, clouds=0, sets=2, grids=2, dropped={'CAM_FRONT: late': 1}, refused={}, jumps={}, resets={}
        )
        facts: dict[str, Any] = {
            'source': f'/bags/{name}',
            'fingerprint': '',
            'settings': JobSettings(),
            'model': 'null',
            'versions': {},
            'host': 'here',
            'device': 'cpu',
            'begun': 0.0,
            'finished': 4.0,
            'seconds': {},
            'counts': counts,
            'warnings': [],
            'scores': None,
        }
        return Record(name=name, **facts | changed)

    return make
