"""What a fleet gains on one machine, and what its engine costs: two commands compared, and empty bags."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gdfusion_ros.benchmark.alone import peak_memory
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.evaluation.predictions import Tally
from gdfusion_ros.evaluation.protocol import ScoringProtocol
from gdfusion_ros.evaluation.rays import RayCounts
from gdfusion_ros.evaluation.report import Report
from gdfusion_ros.fleet.dispatch import Pool
from gdfusion_ros.fleet.job import Job, JobSettings, changed
from gdfusion_ros.fleet.ray_pool import Share, ray_pool
from gdfusion_ros.fleet.record import BagCounts, Failure, Record
from gdfusion_ros.fleet.run import work
from gdfusion_ros.fleet.scores import counted
from gdfusion_ros.fleet.storage import RECORD
from gdfusion_ros.fleet.summary import Summary
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.settings import ModelSettings, model_arguments


@dataclass(frozen=True)
class Throughput:
    """The same bags by two commands.

    Attributes:
        bags, grids: how many.
        workers: of the fleet, each of one thread; a replay took as many threads.
        replays: one 'gdfusion replay --job' after the other [s].
        replaying: of that, what the bags took, without the start of the processes [s].
        fleet: one 'gdfusion fleet' [s].
        started: of that, from the first bag's begin to the last one's end [s].
        bag: mean time of a bag on its worker [s].
    """

    bags: int
    grids: int
    workers: int
    replays: float
    replaying: float
    fleet: float
    started: float
    bag: float


@dataclass(frozen=True)
class Engine:
    """Bags of nothing.

    Attributes:
        bags: how many.
        workers: that did them.
        seconds: from the first to the last, once a worker was there.
        peak_memory: of the process that gave them out [B].
        before: the same when a tenth of the bags was done [B].
    """

    bags: int
    workers: int
    seconds: float
    peak_memory: int
    before: int


def throughput(bags: Sequence[Path], workers: int, model: ModelSettings, on_bag: Callable[[], object]) -> Throughput:
    """Both commands over ``bags``; ``on_bag`` is told of every replay.

    Raises:
        GdfusionError: a command failed.
    """
    with tempfile.TemporaryDirectory(prefix='gdfusion-') as folder:
        begin = time.monotonic()
        for number, bag in enumerate(bags):
            job = Job(
                bag=str(bag),
                out=f'{folder}/replays',
                name=str(number),
                settings=JobSettings(model=changed(model), threads=workers),
            )
            (file := Path(folder, f'{number}.json')).write_bytes(msgspec.json.encode(job))
            _run('replay', '--job', file)
            on_bag()
        replays = time.monotonic() - begin
        begin = time.monotonic()
        _run('fleet', *bags, '--out', f'{folder}/fleet', '--workers', workers, *model_arguments(model))
        fleet = time.monotonic() - begin
        alone, records = _records(Path(folder, 'replays')), _records(Path(folder, 'fleet'))
    started = max(record.finished for record in records) - min(record.begun for record in records)
    return Throughput(
        len(bags),
        sum(record.counts.grids for record in records),
        workers,
        replays,
        _busy(alone),
        fleet,
        started,
        _busy(records) / len(records),
    )


def _records(folder: Path) -> list[Record]:
    return [msgspec.json.decode(path.read_bytes(), type=Record) for path in folder.glob(f'*/{RECORD}')]


def _busy(records: Sequence[Record]) -> float:
    """How long all bags together took on their workers [s]."""
    return sum(record.finished - record.begun for record in records)


def _run(*arguments: object) -> None:
    command = [sys.executable, '-m', 'gdfusion_ros', *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise GdfusionError(f"'gdfusion {arguments[0]}' failed: {result.stderr.strip().splitlines()[-1:]}")


class Idler:
    """A worker without a network: every bag is done at once, with counts as large as those of a real one."""

    def __init__(self, settings: JobSettings) -> None:
        """Prepare the record."""
        labels = OCC3D_NUSCENES
        matrix = ConfusionMatrix(labels)
        matrix.counts += 1
        report = Report(
            labels, ('nothing',), ScoringProtocol('camera'), Tally(40), 0, 0, matrix, RayCounts(labels), seen=None
        )
        counts = BagCounts(images=240, clouds=0, sets=40, grids=40, dropped={}, refused={}, jumps={}, resets={})
        self._record = Record(
            name='',
            source='',
            fingerprint='',
            settings=settings,
            model='nothing',
            versions={},
            host='here',
            device='cpu',
            begun=0.0,
            finished=1.0,
            seconds={},
            counts=counts,
            warnings=[],
            scores=counted(report),
        )

    def load(self, _version: str) -> str:
        """There is nothing to load."""
        return ''

    def run(self, job: Job, _dataset: object) -> Record:
        """The record of a bag that nobody has looked at."""
        return msgspec.structs.replace(self._record, name=job.name, source=job.source, finished=time.monotonic())


class _Clock:
    """A watcher that notes when the first bag was done, and the memory when a tenth was."""

    def __init__(self, bags: int) -> None:
        self._tenth, self._done = max(1, bags // 10), 0
        self.first, self.before = 0.0, 0

    def done(self, record: Record) -> None:
        self.first = self.first or record.finished
        self._done += 1
        if self._done == self._tenth:
            self.before = peak_memory()

    def failed(self, failure: Failure) -> None:
        raise GdfusionError(failure.reason)

    def again(self, job: Job, reason: str) -> None:
        raise GdfusionError(f'{job.source}: {reason}')


def engine(bags: int, workers: int) -> Engine:
    """Give out ``bags`` empty bags to a Ray on this machine, and add up what comes back.

    Raises:
        GdfusionError: Ray is not installed.
    """
    settings = JobSettings(evaluate=True)
    with ray_pool(settings, Share(1, 0), '', workers, worker=Idler) as pool:
        return given_out(bags, workers, pool, settings)


def given_out(bags: int, workers: int, pool: Pool, settings: JobSettings) -> Engine:
    """The same with a pool of Idlers that is there."""
    jobs = [
        Job(bag=f'/data/recordings/{number:05d}', out='/data/grids', name=f'{number:05d}', settings=settings)
        for number in range(bags)
    ]
    clock, summary = _Clock(bags), Summary()
    work(jobs, workers, pool, summary, clock)
    return Engine(len(summary.rows), workers, time.monotonic() - clock.first, peak_memory(), clock.before)
