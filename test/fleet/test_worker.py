"""What an actor does, without Ray."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from gdfusion_ros import __version__
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet import ray_pool
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.ray_pool import Share, Worker
from gdfusion_ros.fleet.record import Failure
from gdfusion_ros.fleet.work import Workplace

TINY = JobSettings(model={'model': 'tiny', 'untrained': True})


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path / f'gdfusion-fleet-{os.getuid()}'


@pytest.fixture
def left(temporary: Path) -> Path:
    """What a process that was killed has left, beside what belongs to one that runs."""
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    for process in (gone.pid, os.getppid()):
        (temporary / str(process) / 'bag').mkdir(parents=True)
    temporary.chmod(0o700)
    return temporary


def test_temporary_files_of_those_who_were_killed_are_removed(left: Path) -> None:
    Worker(TINY)
    assert {path.name for path in left.iterdir()} == {str(os.getppid()), str(os.getpid())}
    assert tempfile.gettempdir() == str(left / str(os.getpid()))


def test_the_end_of_a_fleet_removes_what_its_workers_have_left(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Mock(**{'nodes.return_value': []})
    monkeypatch.setattr(ray_pool, '_ray', lambda: ray)
    with pytest.raises(GdfusionError, match='no machine has'), ray_pool.ray_pool(TINY, Share(1, 0), '', 1):
        pass
    ray.shutdown.assert_called_once()
    assert {path.name for path in left.iterdir()} == {str(os.getppid())}


def test_what_is_wrong_with_a_machine_is_one_line(tiny: Callable[..., Workplace], temporary: Path) -> None:
    assert f'gdfusion {__version__} is installed there, 9.9 here; install the same' in Worker(TINY).load('9.9')
    other = JobSettings(weights_sha256=64 * '0')
    assert 'are another file (SHA-256 ' in Worker(other).load(__version__)
    worker = Worker(TINY)
    assert worker.load(__version__) == ''
    outcome = worker.run(Job(bag=str(temporary / 'none'), out=str(temporary), name='a'), None)
    assert isinstance(outcome, Failure)
    assert 'nothing is there' in outcome.reason
