"""Jobs to workers: a bad bag costs itself, a worker that dies costs the bag that it was on, which is done again.

Nothing here knows Ray: a Pool has the workers. The rules, and nothing else, are in this file.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.job import Job
from gdfusion_ros.fleet.record import Failure, Outcome, Record

ATTEMPTS = 2
"""How often a bag is tried that gives an error: once more, on another worker if there is one."""

DEATHS = 10
"""At so many workers that died over it, a bag is taken to be what kills them."""

_FALSE_STARTS = 3  # workers in a row that may die before they are ready


@dataclass(frozen=True)
class Ready:
    """A worker has loaded the network and waits for its first job."""

    worker: int


@dataclass(frozen=True)
class Done:
    """A worker is through with its job and waits for the next."""

    worker: int
    outcome: Outcome


@dataclass(frozen=True)
class Died:
    """A worker is gone, whatever it was doing; ``reason`` is one line."""

    worker: int
    reason: str


Event = Ready | Done | Died


class Pool(Protocol):
    """Workers by number."""

    def start(self) -> int:
        """Start another worker; its number. Ready or Died will tell what becomes of it."""
        ...

    def give(self, worker: int, job: Job) -> None:
        """Let a worker that waits do ``job``. Done or Died will tell what becomes of it."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker that waits."""
        ...

    def events(self) -> Sequence[Event]:
        """What has happened; waits for it, but may come back with nothing.

        Raises:
            GdfusionError: no worker can load the network, or none will ever answer.
        """
        ...


class Watcher(Protocol):
    """Who is told how it goes on."""

    def done(self, record: Record) -> object:
        """A bag is done."""
        ...

    def failed(self, failure: Failure) -> object:
        """A bag could not be done, and is not tried again."""
        ...

    def again(self, job: Job, reason: str) -> object:
        """A bag will be tried again."""
        ...


def dispatch(jobs: Iterable[Job], workers: int, pool: Pool, watcher: Watcher) -> None:
    """Let ``workers`` workers of the pool do all jobs; after a full disk, only what has been begun.

    Raises:
        GdfusionError: the disk is full, or there can be no workers.
    """
    _Dispatcher(deque(jobs), workers, pool, watcher).run()


class _Attempts:
    """How often each bag was tried in vain."""

    def __init__(self) -> None:
        self._errors: Counter[str] = Counter()
        self._last: dict[str, int] = {}  # the worker that had the last error
        self._deaths: Counter[str] = Counter()

    def failed(self, job: Job, worker: int) -> bool:
        """Count an error; whether the bag shall be tried again."""
        self._errors[job.name] += 1
        self._last[job.name] = worker
        return self._errors[job.name] < ATTEMPTS

    def died(self, job: Job) -> bool:
        """Count a worker that died over it; whether the bag shall be tried again."""
        self._deaths[job.name] += 1
        return self._deaths[job.name] < DEATHS

    def suits(self, job: Job, worker: int) -> bool:
        """Whether it was not this worker that failed last."""
        return self._last.get(job.name) != worker


class _Dispatcher:
    """The jobs that wait, and what every worker is doing."""

    def __init__(self, waiting: deque[Job], workers: int, pool: Pool, watcher: Watcher) -> None:
        self._waiting, self._most, self._pool, self._watcher = waiting, workers, pool, watcher
        self._starting: set[int] = set()
        self._idle: set[int] = set()
        self._busy: dict[int, Job] = {}
        self._attempts = _Attempts()
        self._false_starts = 0
        self._full_disk = ''

    def run(self) -> None:
        """See ``dispatch``."""
        while self._busy or (self._waiting and not self._full_disk):
            self._start_workers()
            for event in self._pool.events():
                if isinstance(event, Ready):
                    self._starting.remove(event.worker)
                    self._idle.add(event.worker)
                    self._false_starts = 0
                elif isinstance(event, Done):
                    self._take(event.worker, event.outcome)
                else:
                    self._mourn(event)
            self._assign()
        if self._full_disk:
            raise GdfusionError(self._full_disk)

    def _start_workers(self) -> None:
        """As many as there is work for."""
        there = len(self._starting) + len(self._idle) + len(self._busy)
        wanted = 0 if self._full_disk else min(self._most, len(self._waiting) + len(self._busy))
        for _ in range(there, wanted):
            self._starting.add(self._pool.start())

    def _assign(self) -> None:
        """Jobs to those who wait."""
        if self._full_disk:
            return
        alone = len(self._idle) + len(self._busy) == 1  # who only starts may never be ready: a cluster may be full
        for worker in sorted(self._idle):
            job = next((job for job in self._waiting if alone or self._attempts.suits(job, worker)), None)
            if job is None:
                continue
            self._waiting.remove(job)
            self._idle.remove(worker)
            self._busy[worker] = job
            self._pool.give(worker, job)

    def _take(self, worker: int, outcome: Outcome) -> None:
        """The outcome of a job."""
        job = self._busy.pop(worker)
        if isinstance(outcome, Record):
            self._idle.add(worker)
            self._watcher.done(outcome)
            return
        if outcome.unexpected:
            self._pool.stop(worker)
        else:
            self._idle.add(worker)
        if outcome.full_disk:
            self._full_disk = f'no room on a disk of {outcome.host}: {outcome.reason}; free some, then --resume'
            return
        if self._attempts.failed(job, worker):
            self._watcher.again(job, outcome.reason)
            self._waiting.append(job)
        else:
            self._watcher.failed(outcome)

    def _mourn(self, event: Died) -> None:
        """A worker is gone."""
        if event.worker in self._starting:
            self._starting.remove(event.worker)
            self._false_starts += 1
            if self._false_starts == _FALSE_STARTS:
                raise GdfusionError(f'{_FALSE_STARTS} workers in a row died before they were ready: {event.reason}')
            return
        self._idle.discard(event.worker)
        if (job := self._busy.pop(event.worker, None)) is None:
            return
        if self._attempts.died(job):
            self._watcher.again(job, event.reason)
            self._waiting.appendleft(job)
        else:
            self._watcher.failed(
                Failure(name=job.name, source=job.source, reason=f'{DEATHS} workers died over it: {event.reason}')
            )
