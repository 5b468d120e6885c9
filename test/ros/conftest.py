"""A graph of its own for every test: its ROS domain, this machine only, a short made-up drive to play."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from gdfusion_ros.datasets import nuscenes  # noqa: E402
from gdfusion_ros.datasets.convert import convert, plan  # noqa: E402
from gdfusion_ros.ros import environment  # noqa: E402

_FIRST_DOMAIN, _DOMAINS = 20, 80
_domain = os.getpid()


@pytest.fixture(scope='session')
def drive(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 3 key frames, 0.5 s apart, of six cameras, with TF; never to be changed."""
    out = tmp_path_factory.mktemp('bags')
    [job] = plan(nuscenes.load(nuscenes_root, scenes=('scene-0001',)), out)
    convert(job)
    return job.path


@pytest.fixture(autouse=True)
def ros_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The environment of every process of a test."""
    global _domain  # noqa: PLW0603 - each test takes the next
    _domain += 1
    monkeypatch.setenv('ROS_DOMAIN_ID', str(_FIRST_DOMAIN + _domain % _DOMAINS))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'ros_log'))
    for name in environment.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    environment.prepare()
    yield
    for name in environment.PROFILE_VARIABLES:
        os.environ.pop(name, None)
