"""Two commits by turns."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gdfusion_ros.benchmark import against
from gdfusion_ros.cli import build_parser
from gdfusion_ros.cli.common import model_flags
from gdfusion_ros.errors import GdfusionError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose only commit has a package that measures nothing."""
    package = tmp_path / 'gdfusion_ros'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / '__main__.py').write_text("""
import sys
def main():
    print('a warning', 'no such network', sep='\\n', file=sys.stderr)
    if '--model' in sys.argv:
        return 1
    open(sys.argv[-1], 'w').write('{"arguments": "%s"}' % ' '.join(sys.argv[1:-2]))
""")
    for command in (
        ['init', '-q'],
        ['add', '.'],
        ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '-m', 'First'],
    ):
        subprocess.run(['git', *command], cwd=tmp_path, check=True)
    (package / '__main__.py').write_text('broken')
    monkeypatch.setattr(against, 'HERE', tmp_path)
    return tmp_path


def test_a_commit_is_laid_out_and_run(checkout: Path) -> None:
    with against.sources('HEAD') as root:
        assert root != checkout
        assert against.measured(root, ['--frames', '2']) == {'arguments': 'benchmark --frames 2'}
        with pytest.raises(GdfusionError, match=r'benchmark of .*: no such network$'):
            against.measured(root, ['--model', 'one'])
    assert not root.exists()


def test_a_commit_that_there_is_not_is_named(checkout: Path) -> None:
    with pytest.raises(GdfusionError, match=f"no commit 'other' in {checkout}: "), against.sources('other'):
        pass


def test_by_turns_each_begins_and_ratios_are_this_ones_over_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    there, order = Path('there'), []

    @contextmanager
    def sources(revision: str) -> Iterator[Path]:
        assert revision == 'v1'
        yield there

    def measured(root: Path, arguments: list[str]) -> dict[str, Any]:
        assert arguments == ['--frames', '3']
        order.append(root)
        return {'frame': 3.0 if root == there else 1.5, 'floor': 1.0, 'peak_memory': 4e9 if root == there else 1e9}

    monkeypatch.setattr(against, 'sources', sources)
    monkeypatch.setattr(against, 'measured', measured)
    ticks: list[int] = []
    turns = against.run('v1', ['--frames', '3'], 3, lambda: ticks.append(1))
    here = against.HERE
    assert order == [here, there, there, here, here, there]
    assert len(ticks) == 3
    assert against.Spread.of([turn.frame for turn in turns]) == against.Spread(0.5, 0.5, 0.5)
    assert turns[0] == against.Turn((1.5, 3.0), (1.5, 3.0), (1e9, 4e9))
    assert against.Spread.of([(1, 1), (3, 1), (4, 2)]) == against.Spread(2.0, 1.0, 3.0)


def test_the_network_that_is_asked_for_is_passed_on() -> None:
    flags = ['--model', 'gdfusion_nano', '--untrained', '--device', 'cpu', '--cues', 'voxel', 'scene']
    given = model_flags(build_parser().parse_args(['benchmark', *flags]))
    assert build_parser().parse_args(['benchmark', *given]) == build_parser().parse_args(['benchmark', *flags])
