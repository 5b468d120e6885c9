"""``gdfusion fleet``, as a user runs it, as far as no Ray is started."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from gdfusion_ros.cli import main
from gdfusion_ros.fleet import ray_pool
from gdfusion_ros.fleet.dispatch import Done, Event, Ready
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.storage import output
from gdfusion_ros.fleet.work import Workplace, workplace

Said = Callable[..., str]
Tiny = Callable[..., Workplace]


class InProcess:
    """A pool of one worker in this process."""

    def __init__(self, settings: JobSettings, *_: object, **__: object) -> None:
        self._place, self._events = workplace(settings), list[Event]()

    def capacity(self) -> int:
        return 1

    def start(self) -> int:
        self._events.append(Ready(0))
        return 0

    def give(self, worker: int, job: Job) -> None:
        self._events.append(Done(worker, self._place.attempt(job)))

    def stop(self, worker: int) -> None:
        raise AssertionError

    def events(self) -> list[Event]:
        return [self._events.pop(0)]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Said:
    """``refused(arguments)``: the one line that the command ends with."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main(['fleet', *map(str, arguments)]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith('gdfusion fleet: ')
        return line

    return run


def test_no_ray_and_no_cluster_are_one_line_and_leave_nothing(
    refused: Said, scene_bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
        address = f'127.0.0.1:{port}'
        assert f'no Ray cluster at {address}: ' in refused(scene_bag, '--out', tmp_path / 'a', '--address', address)
        monkeypatch.setenv('RAY_ADDRESS', address)  # as a cluster that was killed leaves one
        assert f':{port}: [Errno' in refused(scene_bag, '--out', tmp_path / 'a', '--address', 'auto')
    assert 'expected HOST:PORT' in refused(scene_bag, '--out', tmp_path / 'b', '--address', 'head')
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert "a fleet needs Ray: pip install 'gdfusion-ros[fleet]'" in refused(scene_bag, '--out', tmp_path / 'c')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['{bag}', '{bag}'], 'a bag is named twice'),
        (['{tmp}/none'], 'no bags: nothing is at'),
        (['{bag}', '--workers', '-1'], 'expected positive numbers'),
        (['{bag}', '--no-rays'], 'give --evaluate'),
        (['{bag}', '--scenes', 'val'], 'give its folder'),
        (['{bag}', '--weights', 'none.pth'], 'none.pth'),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    refused: Said, scene_bag: Path, tmp_path: Path, arguments: Sequence[str], reason: str
) -> None:
    filled = [argument.format(bag=scene_bag, tmp=tmp_path) for argument in arguments]
    assert reason in refused(*filled, '--out', tmp_path / 'out')
    assert list(tmp_path.iterdir()) == []


def test_jobs_are_planned_once_and_a_folder_of_other_settings_is_refused(
    refused: Said, scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    assert main(['fleet', str(scene_bag), '--out', str(out), '--plan', str(tmp_path / 'jobs')]) == 0
    assert capsys.readouterr().out.startswith(f'1 job in {tmp_path}/jobs: ')
    job = json.loads((tmp_path / 'jobs' / '00000.json').read_text())
    assert (job['bag'], job['out'], job['name']) == (str(scene_bag), str(out), scene_bag.name)
    assert 'has results already; go on with --resume' in refused(scene_bag, '--out', out)
    assert refused(scene_bag, '--out', out, '--resume', '--threads', '2', '--set', 'keyframe_interval=1.0').endswith(
        'was made with other settings: keyframe_interval 0.5 instead of 1.0; threads 1 instead of 2; give those, or '
        'choose another folder'
    )
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'x').touch()
    assert 'exists already and is no folder of a fleet' in refused(scene_bag, '--out', tmp_path / 'mine', '--resume')


def test_two_at_a_time_on_one_folder_are_one_too_many(refused: Said, scene_bag: Path, tmp_path: Path) -> None:
    with output(str(tmp_path / 'out')).claimed():
        assert "another 'gdfusion fleet' is at work on " in refused(scene_bag, '--out', tmp_path / 'out')


def test_the_exit_code_says_whether_all_is_whole(
    tiny: Tiny,
    labelled_bags: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ray_pool, 'ray_pool', lambda *given, **more: nullcontext(InProcess(*given, **more)))
    (late := tmp_path / 'late').mkdir()
    command = [
        'fleet',
        *map(str, labelled_bags),
        str(late / 'a.mcap'),
        '--out',
        str(tmp_path / 'out'),
        '--model',
        'tiny',
        '--untrained',
        '--evaluate',
        '--no-rays',
    ]
    (late / 'a.mcap').write_bytes(b'not yet')
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr()
    assert f'again: {late}/a.mcap: ' in said.err
    assert f'failed: {late}/a.mcap: ' in said.err
    assert said.out.splitlines()[-1] == f'2 of 3 bags are whole, 6 grids: {tmp_path}/out/report.html'
    assert 'RayIoU' not in said.out

    (late / 'a.mcap').write_bytes((labelled_bags[0] / f'{labelled_bags[0].name}.mcap').read_bytes())
    assert main([*command, '--resume']) == 0
    said = capsys.readouterr()
    assert said.out.startswith('2 of 3 bags are whole already\n')
    assert 'key frames scored  9' in said.out
    assert main([*command, '--resume']) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith('3 of 3 bags are whole, 9 grids')
