"""Which worker gets which job, and what becomes of jobs that fail and of workers that die."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.dispatch import ATTEMPTS, DEATHS, Died, Done, Event, Ready, dispatch
from gdfusion_ros.fleet.job import Job
from gdfusion_ros.fleet.record import Failure, Record

MakeRecord = Callable[..., Record]


def jobs(count: int) -> list[Job]:
    return [Job(bag=f'/bags/{number}', out='/out', name=str(number)) for number in range(count)]


def failure(job: Job, **facts: bool) -> Failure:
    return Failure(name=job.name, source=job.source, reason='bad', host='here', **facts)


class Played:
    """A pool whose workers do what ``play(worker, job)`` says, and a watcher that writes down what it is told."""

    def __init__(self, play: Callable[[int, Job], Event]) -> None:
        self.play, self.started, self.stopped = play, 0, list[int]()
        self.waiting: list[Event] = []
        self.given: list[tuple[int, str]] = []
        self.whole: list[str] = []
        self.lost: list[str] = []
        self.repeated: list[str] = []

    def start(self) -> int:
        self.started += 1
        self.waiting.append(Ready(self.started))
        return self.started

    def give(self, worker: int, job: Job) -> None:
        self.given.append((worker, job.name))
        self.waiting.append(self.play(worker, job))

    def stop(self, worker: int) -> None:
        self.stopped.append(worker)

    def events(self) -> list[Event]:
        return [self.waiting.pop(0)]

    def done(self, record: Record) -> None:
        self.whole.append(record.name)

    def failed(self, failure: Failure) -> None:
        self.lost.append(failure.name)

    def again(self, job: Job, reason: str) -> None:
        self.repeated.append(job.name)


def test_every_job_is_done_once_and_no_more_workers_start_than_there_are_jobs(record: MakeRecord) -> None:
    pool = Played(lambda worker, job: Done(worker, record(job.name)))
    dispatch(jobs(5), 2, pool, pool)
    assert sorted(pool.whole) == list('01234')
    assert pool.started == 2
    few = Played(lambda worker, job: Done(worker, record(job.name)))
    dispatch(jobs(1), 8, few, few)
    assert few.started == 1


def test_a_bad_bag_is_tried_once_more_by_another_worker(record: MakeRecord) -> None:
    pool = Played(lambda worker, job: Done(worker, failure(job) if job.name == '1' else record(job.name)))
    dispatch(jobs(4), 2, pool, pool)
    assert sorted(pool.whole) == list('023')
    assert (pool.repeated, pool.lost) == (['1'], ['1'])
    tried = [worker for worker, name in pool.given if name == '1']
    assert len(tried) == ATTEMPTS == len(set(tried))


def test_nobody_waits_for_a_worker_that_never_comes() -> None:
    class Full(Played):
        def start(self) -> int:
            self.started += 1
            if self.started == 1:
                self.waiting.append(Ready(1))
            return self.started

    pool = Full(lambda worker, job: Done(worker, failure(job)))
    dispatch(jobs(2), 2, pool, pool)
    assert sorted(pool.lost) == list('01')


def test_a_worker_that_is_alone_tries_it_itself() -> None:
    pool = Played(lambda worker, job: Done(worker, failure(job)))
    dispatch(jobs(1), 1, pool, pool)
    assert pool.given == [(1, '0'), (1, '0')]
    assert pool.lost == ['0']


def test_a_worker_that_dies_costs_the_bag_that_it_was_on(record: MakeRecord) -> None:
    def play(worker: int, job: Job) -> Event:
        return Died(worker, 'killed') if worker in (1, 3) else Done(worker, record(job.name))

    pool = Played(play)
    dispatch(jobs(6), 2, pool, pool)
    assert sorted(pool.whole) == list('012345')
    assert len(pool.repeated) == 2
    assert pool.started == 4
    assert pool.lost == []


def test_a_bag_that_kills_every_worker_is_given_up(record: MakeRecord) -> None:
    pool = Played(lambda worker, job: Died(worker, 'no memory') if job.name == '0' else Done(worker, record(job.name)))
    dispatch(jobs(3), 1, pool, pool)
    assert pool.lost == ['0']
    assert pool.repeated == ['0'] * (DEATHS - 1)
    assert sorted(pool.whole) == list('12')


def test_after_an_unforeseen_error_the_worker_starts_anew(record: MakeRecord) -> None:
    pool = Played(lambda worker, job: Done(worker, failure(job, unexpected=True) if worker == 1 else record(job.name)))
    dispatch(jobs(2), 1, pool, pool)
    assert pool.stopped == [1]
    assert sorted(pool.whole) == list('01')


def test_a_full_disk_ends_it_when_what_was_begun_is_done(record: MakeRecord) -> None:
    pool = Played(
        lambda worker, job: Done(worker, failure(job, full_disk=True) if job.name == '0' else record(job.name))
    )
    with pytest.raises(GdfusionError, match=r'no room on a disk of here: bad; free some, then --resume'):
        dispatch(jobs(9), 2, pool, pool)
    assert pool.whole == ['1']
    assert [name for _, name in pool.given] == ['0', '1']


def test_workers_that_cannot_start_end_it() -> None:
    class Stillborn(Played):
        def start(self) -> int:
            self.started += 1
            self.waiting.append(Died(self.started, 'no memory'))
            return self.started

    pool = Stillborn(lambda worker, job: Ready(worker))
    with pytest.raises(GdfusionError, match='3 workers in a row died before they were ready: no memory'):
        dispatch(jobs(2), 1, pool, pool)
