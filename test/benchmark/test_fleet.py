"""What a fleet costs: empty bags, as far as no Ray is started."""

from __future__ import annotations

from gdfusion_ros.benchmark.fleet import Idler, given_out
from gdfusion_ros.fleet.dispatch import Done, Event, Ready
from gdfusion_ros.fleet.job import Job, JobSettings


class Quick:
    """A pool of Idlers in this process."""

    def __init__(self, settings: JobSettings) -> None:
        self._idlers: list[Idler] = []
        self._settings, self._events = settings, list[Event]()

    def start(self) -> int:
        self._idlers.append(Idler(self._settings))
        assert self._idlers[-1].load('') == ''
        self._events.append(Ready(len(self._idlers) - 1))
        return len(self._idlers) - 1

    def give(self, worker: int, job: Job) -> None:
        self._events.append(Done(worker, self._idlers[worker].run(job, None)))

    def stop(self, worker: int) -> None:
        raise AssertionError

    def events(self) -> list[Event]:
        return [self._events.pop(0)]


def test_all_bags_of_nothing_are_counted() -> None:
    settings = JobSettings(evaluate=True)
    measured = given_out(30, 2, Quick(settings), settings)
    assert (measured.bags, measured.workers) == (30, 2)
    assert measured.seconds > 0
    assert measured.peak_memory >= measured.before > 10**6
