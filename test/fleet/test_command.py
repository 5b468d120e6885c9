"""``gdfusion fleet``, as a user runs it, as far as no Ray is started."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gdfusion_ros.cli import main

Said = Callable[..., str]


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


def test_no_ray_and_no_cluster_are_one_line(refused: Said, scene_bag: Path, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{free.getsockname()[1]}'
        assert f'no Ray cluster at {address}: ' in refused(scene_bag, '--out', tmp_path / 'a', '--address', address)
    assert 'expected HOST:PORT' in refused(scene_bag, '--out', tmp_path / 'b', '--address', 'head')
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert "a fleet needs Ray: pip install 'gdfusion-ros[fleet]'" in refused(scene_bag, '--out', tmp_path / 'c')


@pytest.mark.parametrize(('arguments', 'reason'), [
    (['{bag}', '{bag}'], 'a bag is named twice'), (['{tmp}/none'], 'no bags: nothing is at'),
    (['{bag}', '--workers', '-1'], 'expected positive numbers'), (['{bag}', '--no-rays'], 'give --evaluate'),
    (['{bag}', '--scenes', 'val'], 'give its folder'), (['{bag}', '--weights', 'none.pth'], 'none.pth')])
def test_bad_input_is_one_line_and_leaves_nothing(refused: Said, scene_bag: Path, tmp_path: Path,
                                                  arguments: Sequence[str], reason: str) -> None:
    filled = [argument.format(bag=scene_bag, tmp=tmp_path) for argument in arguments]
    assert reason in refused(*filled, '--out', tmp_path / 'out')
    assert list(tmp_path.iterdir()) == []


def test_jobs_are_planned_once_and_a_folder_of_other_settings_is_refused(
        refused: Said, scene_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out'
    assert main(['fleet', str(scene_bag), '--out', str(out), '--plan', str(tmp_path / 'jobs')]) == 0
    assert capsys.readouterr().out.startswith(f'1 jobs in {tmp_path}/jobs: ')
    job = json.loads((tmp_path / 'jobs' / '00000.json').read_text())
    assert (job['bag'], job['out'], job['name']) == (str(scene_bag), str(out), scene_bag.name)
    assert 'has results already; go on with --resume' in refused(scene_bag, '--out', out)
    assert refused(scene_bag, '--out', out, '--resume', '--threads', '2', '--set', 'keyframe_interval=1.0').endswith(
        'was made with other settings: keyframe_interval 0.5 instead of 1.0; threads 1 instead of 2; choose another '
        'folder')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'x').touch()
    assert 'exists already and is no folder of a fleet' in refused(scene_bag, '--out', tmp_path / 'mine', '--resume')
