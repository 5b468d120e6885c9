"""Labelled bags, and a network small enough to run over them in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


@pytest.fixture(scope='session')
def labelled_bags(nuscenes_complete: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """scene-0001 and scene-0002 with labels, three key frames each. To read, never to change."""
    jobs = plan(nuscenes.load(nuscenes_complete), tmp_path_factory.mktemp('fleet'), Content(labels=True))
    for job in jobs:
        convert(job)
    return [job.path for job in jobs]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tiny_entry: zoo.Entry) -> Iterator[Callable[..., Workplace]]:
    """``tiny(**settings)``: a workplace with a tiny network of random weights, in one thread."""
    threads = torch.get_num_threads()
    monkeypatch.setitem(zoo.ZOO, 'tiny', tiny_entry)

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
