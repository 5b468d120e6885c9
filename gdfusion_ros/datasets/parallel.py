"""Scenes converted by several processes, each working on one scene at a time.

The workers never see a signal: they end when nobody listens to them any more, whether the parent has stopped or is
gone, between two files, and clean up before they go.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TypeAlias, cast

from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Job
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.stopping import starting_processes, stop_signals

Link: TypeAlias = 'Connection[object, object]'
"""To a worker: jobs go there; sizes of files, errors and None for a whole bag come back."""


def convert_all(
    jobs: Sequence[Job],
    processes: int,
    *,
    options: Mapping[str, str],
    on_file: Callable[[int], object],
    on_done: Callable[[Job], object],
) -> None:
    """Write the bags of all jobs.

    Args:
        jobs: From ``plan``.
        processes: How many work at once; with one, it is this one.
        options: For ``convert``: storage, bag_format, compression.
        on_file: See ``convert``.
        on_done: Told of every bag that is whole.

    Raises:
        GdfusionError: a bag could not be made; those that are whole stay.
    """
    processes = min(processes, len(jobs))
    if processes > 1:
        with _workers(processes, options) as workers:
            _distribute(jobs, workers, on_file, on_done)
        return
    for job in jobs:
        convert(job, **options, on_file=on_file)
        on_done(job)


def _distribute(
    jobs: Sequence[Job],
    workers: Mapping[Link, SpawnProcess],
    on_file: Callable[[int], object],
    on_done: Callable[[Job], object],
) -> None:
    """Keep every worker busy until all jobs are done."""
    waiting = list(reversed(jobs))
    busy = {link: waiting.pop() for link in workers}
    for link, job in busy.items():
        with _watched(workers[link], job):
            link.send(job)
    while busy:
        for link in cast('list[Link]', wait(list(busy))):
            with _watched(workers[link], busy[link]):
                news = link.recv()
            if isinstance(news, GdfusionError):
                raise news
            if isinstance(news, int):
                on_file(news)
                continue
            on_done(busy.pop(link))
            if waiting:
                busy[link] = waiting.pop()
                with _watched(workers[link], busy[link]):
                    link.send(busy[link])


@contextmanager
def _watched(worker: SpawnProcess, job: Job) -> Iterator[None]:
    """A worker that is gone as one clear line."""
    try:
        yield
    except (EOFError, OSError) as error:
        worker.join()
        raise GdfusionError(
            f'{job.path} was not made: its process ended with exit code '
            f'{worker.exitcode}; was memory short? Then try fewer --jobs'
        ) from error


@contextmanager
def _workers(count: int, options: Mapping[str, str]) -> Iterator[Mapping[Link, SpawnProcess]]:
    """Worker processes; ended and waited for at the end of the block."""
    context = multiprocessing.get_context('spawn')
    workers: dict[Link, SpawnProcess] = {}
    try:
        with starting_processes():
            for _ in range(count):
                link, far_end = context.Pipe()
                process = context.Process(target=_work, args=(far_end, options), daemon=True)
                process.start()
                far_end.close()
                workers[link] = process
        yield workers
    finally:
        for link in workers:
            link.close()
        for process in workers.values():
            process.join()


def _work(link: Link, options: Mapping[str, str]) -> None:
    """Convert what comes over ``link`` until it closes."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            job = link.recv()
            assert isinstance(job, Job)
            try:
                convert(job, **options, on_file=link.send)
            except GdfusionError as error:
                link.send(error)
            else:
                link.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
