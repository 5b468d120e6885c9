"""Processes that work on the scenes of a synthetic dataset, a few key frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.process_pool import ProcessPool
from gdfusion_ros.stopping import starting_processes
from gdfusion_ros.synthetic import drive
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.recording import Recorder

P = ParamSpec('P')
T = TypeVar('T')

_PART = 2  # key frames


@contextmanager
def workers(jobs: int) -> Iterator[Executor]:
    """So many processes; when the block is left early, what has not begun is dropped.

    A single one is a thread of this process: that starts at once.
    """
    pool: Executor = ThreadPoolExecutor(1)
    if jobs > 1:
        pool = _ProcessPool(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _ProcessPool(ProcessPool):
    """A stop signal waits until its processes are whole."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with starting_processes():
            return super().submit(fn, *args, **kwargs)


def parts(recipe: Recipe) -> Iterator[tuple[int, range]]:
    """All scenes in pieces of a few key frames: index of the scene, its key frames."""
    for index in range(recipe.scenes):
        for first in range(0, recipe.frames, _PART):
            yield index, range(first, min(first + _PART, recipe.frames))


def result(future: Future[T]) -> T:
    """What a process has returned.

    Raises:
        GdfusionError: the process was killed.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise GdfusionError(
            'a process that worked on the scenes was killed, probably for want of memory; try fewer --jobs'
        ) from error


@lru_cache(1)
def recorder(recipe: Recipe, index: int, root: Path) -> Recorder:
    """The scene that this process works on; it stays until another one is asked for."""
    return Recorder(drive.plan(recipe, index), root)
