"""A fleet from its list of bags to its report; what is whole already is not done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.fleet.dispatch import Pool, Watcher, dispatch
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.page import page
from gdfusion_ros.fleet.record import Failure, Record, read_record
from gdfusion_ros.fleet.storage import Output
from gdfusion_ros.fleet.summary import Summary

SETTINGS, SCORES, PAGE = 'fleet.json', 'scores.json', 'report.html'
"""What the folder of a fleet has beside its results."""


def check_folder(results: Output, place: str, settings: JobSettings, *, resume: bool) -> None:
    """See that results can go to a folder; nothing is written.

    Args:
        results: The folder.
        place: Its path or URL.
        settings: Of all jobs, with the digest of the weights.
        resume: Whether results may be there already.

    Raises:
        GdfusionError: there are results and there may be none, or they were made with other settings.
    """
    content = results.read(SETTINGS)
    if content is None:
        if results.occupied():
            raise GdfusionError(f'{place} exists already and is no folder of a fleet; choose another name')
        return
    if not resume:
        raise GdfusionError(f'{place} has results already; go on with --resume, or choose another name')
    try:
        there = json.loads(content)
    except ValueError as error:
        raise GdfusionError(f'{place}/{SETTINGS} is damaged: {error}; choose another folder') from error
    if others := list(_differences(there, settings.facts)):
        raise GdfusionError(
            f'{place} was made with other settings: {"; ".join(others)}; give those, or choose another folder'
        )


def begin_folder(results: Output, settings: JobSettings) -> None:
    """Write down what the results of a folder are made with.

    Raises:
        GdfusionError: it cannot be written.
    """
    results.write(SETTINGS, (json.dumps(settings.facts, indent=2) + '\n').encode())


def begun(results: Output) -> bool:
    """Whether ``begin_folder`` was there."""
    return results.read(SETTINGS) is not None


def _differences(there: object, here: object, name: str = 'settings') -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            yield from _differences(there.get(key), here.get(key), key)
    elif there != here:
        yield f'{name} {there} instead of {here}'


def survey(jobs: list[Job], results: Output, settings: JobSettings, summary: Summary) -> list[Job]:
    """Add to ``summary`` what is whole; the jobs that are left.

    Raises:
        GdfusionError: the folder cannot be read.
    """
    left = []
    for job in jobs:
        record = read_record(results, job.name, settings.fingerprint, job.source)
        if record is None:
            left.append(job)
        else:
            summary.add(record)
    return left


def work(jobs: list[Job], workers: int, pool: Pool, summary: Summary, watcher: Watcher) -> None:
    """Let the workers of ``pool`` do the jobs; ``summary`` and ``watcher`` are told of each.

    Raises:
        GdfusionError: see ``dispatch``.
    """
    dispatch(jobs, workers, pool, _Both(summary, watcher))


@dataclass(frozen=True)
class _Both:
    """Keeps the summary, and tells the other watcher."""

    summary: Summary
    watcher: Watcher

    def done(self, record: Record) -> None:
        self.summary.add(record)
        self.watcher.done(record)

    def failed(self, failure: Failure) -> None:
        self.summary.failures.append(failure)
        self.watcher.failed(failure)

    def again(self, job: Job, reason: str) -> None:
        self.watcher.again(job, reason)


def report(results: Output, summary: Summary, title: str, *, pictures: bool) -> None:
    """Write the page, and the scores where there are any.

    Raises:
        GdfusionError: they cannot be written.
    """
    if (scores := summary.total.report) is not None:
        results.write(SCORES, (json.dumps(scores.as_json(), indent=2) + '\n').encode())
    results.write(PAGE, page(summary, title, pictures=pictures).encode())
