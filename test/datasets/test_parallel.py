"""Several scenes at a time, and what is left when that is stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.parallel import convert_all
from gdfusion_ros.datasets.plan import Job, plan
from gdfusion_ros.errors import GdfusionError

OPTIONS = {'storage': 'mcap', 'bag_format': 'jazzy', 'compression': 'none'}


def jobs_of(root: Path, out: Path) -> list[Job]:
    return plan(nuscenes.load(root), out)


@pytest.mark.parametrize('processes', [1, 2, 5])
def test_makes_every_bag(nuscenes_root: Path, tmp_path: Path, processes: int) -> None:
    jobs = jobs_of(nuscenes_root, tmp_path)
    sizes: list[int] = []
    done: list[Job] = []
    convert_all(jobs, processes, options=OPTIONS, on_file=sizes.append, on_done=done.append)
    assert sum(sizes) == sum(job.size for job in jobs)
    assert sorted(job.path.name for job in done) == ['scene-0001', 'scene-0002']
    for job in jobs:
        with bag_reader(job.path) as bag:
            assert bag.count(['/CAM_BACK/image/compressed']) == 3
    assert multiprocessing.active_children() == []


def test_an_error_of_a_worker_is_told(nuscenes_root: Path, tmp_path: Path) -> None:
    jobs = jobs_of(nuscenes_root, tmp_path / 'out')
    jobs[1].path.mkdir(parents=True)
    with pytest.raises(GdfusionError, match='scene-0002 exists already, not overwriting'):
        convert_all(jobs, 2, options=OPTIONS, on_file=lambda _: None, on_done=lambda _: None)
    assert multiprocessing.active_children() == []
    assert {path.name for path in (tmp_path / 'out').iterdir()} <= {'scene-0001', 'scene-0002'}


def test_a_worker_that_dies_is_told(nuscenes_root: Path, tmp_path: Path) -> None:
    def kill(_: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    jobs = [*jobs_of(nuscenes_root, tmp_path / 'a'), *jobs_of(nuscenes_root, tmp_path / 'b')]
    with pytest.raises(GdfusionError, match='its process ended with exit code -9'):
        convert_all(jobs, 2, options=OPTIONS, on_file=kill, on_done=lambda _: None)


def test_a_stop_leaves_neither_processes_nor_halves(nuscenes_root: Path, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_all(jobs_of(nuscenes_root, tmp_path), 2, options=OPTIONS, on_file=stop, on_done=lambda _: None)
    assert multiprocessing.active_children() == []
    for path in tmp_path.iterdir():
        with bag_reader(path) as bag:  # a scene may have been done already
            assert bag.message_count


@pytest.mark.slow
@pytest.mark.parametrize('begun', ['', '.scene-0001*/*', 'scene-0001*'], ids=['starting', 'writing', 'written'])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_from_outside(
    nuscenes_complete: Path, tmp_path: Path, wait_until: Callable[..., None], number: signal.Signals, begun: str
) -> None:
    command = [
        sys.executable,
        '-m',
        'gdfusion_ros',
        'convert',
        str(nuscenes_complete),
        '--out',
        str(tmp_path / 'bags'),
        '--labels',
        '--jobs',
        '2',
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert any('in one process' in line for line in process.stdout)
        if begun:
            wait_until(lambda: process.poll() is not None or list((tmp_path / 'bags').glob(begun)))
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.terminate()
        _, error = process.communicate()
    assert 'Traceback' not in error
    # It may have been done, or done and on its way out.
    assert process.returncode in (0, 130, -number)
    assert process.returncode != 130 or error.rstrip().endswith('gdfusion convert: stopped')
    for path in (tmp_path / 'bags').iterdir() if (tmp_path / 'bags').exists() else ():
        with bag_reader(path) as bag:
            assert bag.message_count
