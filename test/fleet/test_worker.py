"""What an actor does, without Ray."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gdfusion_ros import __version__
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.ray_pool import Worker
from gdfusion_ros.fleet.record import Failure
from gdfusion_ros.fleet.work import Workplace

TINY = JobSettings(model={'model': 'tiny', 'untrained': True})


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path / f'gdfusion-fleet-{os.getuid()}'


def test_temporary_files_of_those_who_were_killed_are_removed(temporary: Path) -> None:
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    for process in (gone.pid, os.getppid()):
        (temporary / str(process) / 'bag').mkdir(parents=True)
    temporary.chmod(0o700)
    Worker(TINY)
    assert {path.name for path in temporary.iterdir()} == {str(os.getppid()), str(os.getpid())}
    assert tempfile.gettempdir() == str(temporary / str(os.getpid()))


def test_what_is_wrong_with_a_machine_is_one_line(tiny: Callable[..., Workplace], temporary: Path) -> None:
    assert f'gdfusion {__version__} is installed there, 9.9 here; install the same' in Worker(TINY).load('9.9')
    other = JobSettings(weights_sha256=64 * '0')
    assert 'are another file (SHA-256 ' in Worker(other).load(__version__)
    worker = Worker(TINY)
    assert worker.load(__version__) == ''
    outcome = worker.run(Job(bag=str(temporary / 'none'), out=str(temporary), name='a'), None)
    assert isinstance(outcome, Failure)
    assert 'nothing is there' in outcome.reason
