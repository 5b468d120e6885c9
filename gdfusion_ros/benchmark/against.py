"""The network as it is here against that of another commit, by turns: what a change costs or saves on a machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gdfusion_ros.errors import GdfusionError

HERE = Path(__file__).resolve().parents[2]
"""The sources that run."""


@dataclass(frozen=True)
class Turn:
    """One run of each commit, one right after the other; ratios are this one's over the other's.

    Attributes:
        frame: seconds of a whole frame, here and there.
        per_floor: the same over each run's own floor.
        peak_memory: bytes of the processes.
    """

    frame: tuple[float, float]
    per_floor: tuple[float, float]
    peak_memory: tuple[float, float]

    @staticmethod
    def of(here: Mapping[str, Any], there: Mapping[str, Any]) -> Turn:
        """What two runs of ``gdfusion benchmark --json`` say."""
        runs = here, there
        frame, floor = (tuple(float(run[name]) for run in runs) for name in ('frame', 'floor'))
        return Turn(
            (frame[0], frame[1]),
            (frame[0] / floor[0], frame[1] / floor[1]),
            (here['peak_memory'], there['peak_memory']),
        )


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest ratio of all turns."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(pairs: Sequence[tuple[float, float]]) -> Spread:
        """Of pairs (here, there)."""
        ratios = [here / there for here, there in pairs]
        return Spread(statistics.median(ratios), min(ratios), max(ratios))


def run(revision: str, arguments: Sequence[str], count: int, tick: Callable[[], object] = lambda: None) -> list[Turn]:
    """Benchmark both ``count`` times with these ``arguments``, with the libraries that are installed here.

    The other commit's sources are laid out in a temporary folder. Who begins changes from turn to turn.

    Raises:
        GdfusionError: this is no checkout, it has no such commit, or a run fails.
    """
    turns = []
    with sources(revision) as there:
        for turn in range(count):
            roots = (HERE, there) if turn % 2 == 0 else (there, HERE)
            found = {root: measured(root, arguments) for root in roots}
            turns.append(Turn.of(found[HERE], found[there]))
            tick()
    return turns


@contextmanager
def sources(revision: str) -> Iterator[Path]:
    """A folder with the sources of a commit, while it is needed.

    Raises:
        GdfusionError: there is no such commit here.
    """
    done = subprocess.run(
        ['git', '-C', str(HERE), 'archive', '--format=tar', revision], capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors='replace').strip().splitlines() or ['git says nothing']
        raise GdfusionError(f"no commit '{revision}' in {HERE}: {said[-1]}")
    with TemporaryDirectory() as folder:
        subprocess.run(['tar', '-x', '-C', folder], input=done.stdout, check=True)
        yield Path(folder)


def measured(root: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """What ``gdfusion benchmark`` of the sources below ``root`` measures, in a process of its own.

    Raises:
        GdfusionError: it fails.
    """
    with TemporaryDirectory() as folder:
        numbers = Path(folder) / 'numbers.json'
        script = f'import sys; sys.path[0] = {str(root)!r}; from gdfusion_ros.__main__ import main; sys.exit(main())'
        done = subprocess.run(
            [sys.executable, '-c', script, 'benchmark', *arguments, '--json', str(numbers)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f'exit code {done.returncode}']
            raise GdfusionError(f'gdfusion benchmark of {root}: {said[-1]}')
        values: dict[str, Any] = json.loads(numbers.read_text())
        return values
