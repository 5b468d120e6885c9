"""The thread that computes, when what it computes with fails."""

from __future__ import annotations

import itertools
import queue
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.ros.worker import Worker, WorkerListener


class Sets:
    """An assembler that has these sets."""

    def __init__(self, *names: str) -> None:
        self.sets = [SimpleNamespace(name=name, camera_set=SimpleNamespace(stamp=0)) for name in names]
        self.counters = Counters(())

    def wait(self, timeout: float) -> bool:
        return bool(self.sets)

    def take(self) -> Any:
        return self.sets.pop(0) if self.sets else None


class Estimator:
    """Refuses the set 'bad', breaks at the set 'fault', makes a grid of others."""

    def process(self, posed: Any) -> str:
        if posed.name == 'bad':
            raise GdfusionError('a bad set')
        if posed.name == 'fault':
            raise RuntimeError('a fault of the program')
        return f'grid of {posed.name}'


def run(sets: Sets, publish: Callable[[str], None] = lambda grid: None) -> tuple[list[str], list[str], bool]:
    """Grids, refusals, and whether the worker reported its death; ``publish`` may fail."""
    grids: list[str] = []
    refusals: list[str] = []
    dead, idle = threading.Event(), threading.Event()

    def take() -> Any:
        if not sets.sets:
            idle.set()
        return Sets.take(sets)

    def on_grid(posed: Any, taken: float, grid: Any) -> None:
        publish(grid)
        grids.append(grid)

    def on_failure() -> None:
        dead.set()
        idle.set()

    monitored: Any = SimpleNamespace(wait=sets.wait, take=take, counters=sets.counters)
    estimator: Any = Estimator()
    worker = Worker(
        monitored,
        estimator,
        torch.get_num_threads(),
        WorkerListener(on_grid, lambda error: refusals.append(str(error)), on_failure),
    )
    worker.start()
    idle.wait()
    worker.stop()
    return grids, refusals, dead.is_set()


def test_a_set_that_is_refused_costs_only_itself() -> None:
    assert run(Sets('first', 'bad', 'last')) == (['grid of first', 'grid of last'], ['a bad set'], False)


LINE = r'set at 0\.0{9}: unexpected RuntimeError in test_worker\.py:\d+: a fault of the program'


def test_a_fault_of_the_program_costs_its_set() -> None:
    sets = Sets('first', 'fault', 'fault', 'bad', 'second', 'fault', 'fault', 'last')
    grids, refusals, dead = run(sets)
    assert (grids, dead) == (['grid of first', 'grid of second', 'grid of last'], False)
    assert [bool(re.fullmatch(LINE, line)) for line in refusals] == [True, True, False, True, True]
    assert sets.counters.snapshot().frames_refused == {'error': 4}


def test_a_fault_in_giving_out_costs_its_set() -> None:
    def publish(grid: str) -> None:
        if grid == 'grid of first':
            raise RuntimeError('a fault of the program')

    grids, refusals, dead = run(Sets('first', 'last'), publish)
    assert (grids, len(refusals), dead) == (['grid of last'], 1, False)


def test_three_faults_in_a_row_end_the_worker_and_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(threading, 'excepthook', lambda args: shown.append(args.exc_value))
    grids, refusals, dead = run(Sets('first', 'fault', 'fault', 'bad', 'fault', 'last'))
    assert (grids, len(refusals), dead) == (['grid of first'], 3, True)
    [error] = shown
    assert re.fullmatch(f'{LINE}; 3 sets in a row failed by errors like this', str(error))
    assert isinstance(error.__cause__, RuntimeError)


def test_who_hangs_is_waited_for_once_and_again_when_it_is_back() -> None:
    """The reader hangs after the first grid, is back after the third, and hangs again after the fourth."""
    log: list[str] = []
    done = threading.Event()

    def on_grid(posed: Any, taken: float, grid: Any) -> None:
        log.append(grid)
        if grid == '5':
            done.set()

    def taken_in() -> bool:
        return [line for line in log if line != 'hangs'][-1:] in ([], ['3'])

    sets: Any = Sets('1', '2', '3', '4', '5')
    estimator: Any = SimpleNamespace(process=lambda posed: posed.name)
    worker = Worker(
        sets,
        estimator,
        torch.get_num_threads(),
        WorkerListener(on_grid, lambda line: None, lambda: None, taken_in, lambda: log.append('hangs')),
        patience=0.01,
    )
    worker.start()
    done.wait()
    worker.stop()
    assert log[:7] == ['1', 'hangs', '2', '3', '4', 'hangs', '5']


def test_the_worker_computes_with_its_own_number_of_threads() -> None:
    here, seen = torch.get_num_threads(), queue.SimpleQueue[Any]()
    estimator: Any = SimpleNamespace(process=lambda posed: torch.get_num_threads())
    assembler: Any = Sets('first')
    worker = Worker(
        assembler,
        estimator,
        here + 2,
        WorkerListener(lambda posed, taken, grid: seen.put(grid), lambda line: None, lambda: None),
    )
    worker.start()
    there = seen.get()
    worker.stop()
    assert (there, torch.get_num_threads()) == (here + 2, here)


def test_while_there_is_no_set_the_worker_is_idle_and_an_error_there_is_told() -> None:
    done, calls = threading.Event(), itertools.count()
    refusals: list[str] = []

    def idle() -> None:
        if next(calls) == 0:
            raise GdfusionError('no message')
        done.set()

    sets: Any = Sets()
    estimator: Any = Estimator()
    worker = Worker(
        sets,
        estimator,
        torch.get_num_threads(),
        WorkerListener(
            lambda posed, taken, grid: None, lambda error: refusals.append(str(error)), lambda: None, idle=idle
        ),
    )
    worker.start()
    done.wait()
    worker.stop()
    assert refusals == ['no message']
