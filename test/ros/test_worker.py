"""The thread that computes, when what it computes with fails."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros.worker import Worker


class Sets:
    """An assembler that has these sets."""

    def __init__(self, *sets: str) -> None:
        self.sets = list(sets)

    def wait(self, timeout: float) -> bool:
        return bool(self.sets)

    def take(self) -> str | None:
        return self.sets.pop(0) if self.sets else None


class Estimator:
    """Refuses the set 'bad', breaks at the set 'fatal', makes a grid of others."""

    def process(self, posed: str) -> str:
        if posed == 'bad':
            raise GdfusionError('a bad set')
        if posed == 'fatal':
            raise RuntimeError('a fault of the program')
        return f'grid of {posed}'


def run(sets: Sets) -> tuple[list[str], list[str], bool]:
    """Grids, refusals, and whether the worker reported its death."""
    grids: list[str] = []
    refusals: list[str] = []
    dead = threading.Event()
    assembler: Any = sets
    estimator: Any = Estimator()
    worker = Worker(assembler, estimator, torch.get_num_threads(),
                    on_grid=lambda posed, taken, grid: grids.append(str(grid)), on_refusal=refusals.append,
                    on_failure=dead.set)
    worker.start()
    dead.wait(0.3)
    worker.stop()
    return grids, refusals, dead.is_set()


def test_a_set_that_is_refused_costs_only_itself() -> None:
    assert run(Sets('first', 'bad', 'last')) == (['grid of first', 'grid of last'], ['a bad set'], False)


def test_a_fault_of_the_program_is_reported_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(threading, 'excepthook', lambda args: shown.append(str(args.exc_value)))
    assert run(Sets('first', 'fatal', 'last')) == (['grid of first'], [], True)
    assert shown == ['a fault of the program']


def test_the_worker_computes_with_its_own_number_of_threads() -> None:
    here, seen = torch.get_num_threads(), queue.SimpleQueue[int]()
    estimator: Any = SimpleNamespace(process=lambda posed: torch.get_num_threads())
    assembler: Any = Sets('first')
    worker = Worker(assembler, estimator, here + 2, on_grid=lambda posed, taken, grid: seen.put(grid),
                    on_refusal=lambda line: None, on_failure=lambda: None)
    worker.start()
    there = seen.get(timeout=60)
    worker.stop()
    assert (there, torch.get_num_threads()) == (here + 2, here)
