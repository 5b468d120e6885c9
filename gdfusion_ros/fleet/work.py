"""One bag, done: fetched, replayed, scored, drawn, and put where it belongs, whole or not at all."""

from __future__ import annotations

import errno
import platform
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from gdfusion_ros import __version__
from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.replay import BagForm, replay
from gdfusion_ros.bags.snapshots import Sources, bag_snapshots
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.evaluation.evaluator import evaluate
from gdfusion_ros.evaluation.frames import Truth
from gdfusion_ros.evaluation.predictions import BagPredictions
from gdfusion_ros.evaluation.protocol import ScoringProtocol, usual_mask
from gdfusion_ros.files import digest
from gdfusion_ros.fleet.job import Job, JobSettings
from gdfusion_ros.fleet.record import Failure, Outcome, Record, bag_counts, read_record
from gdfusion_ros.fleet.scores import ScoreCounts, counted
from gdfusion_ros.fleet.source import opened
from gdfusion_ros.fleet.storage import RECORD, is_url, local_copy, output
from gdfusion_ros.messages.outputs import NODE_NAME, OCCUPANCY
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.process import set_threads
from gdfusion_ros.model.zoo import load_network, select_model
from gdfusion_ros.names import printable
from gdfusion_ros.settings import ModelSettings, TopicSettings
from gdfusion_ros.visualization import sheet

GRID_TOPIC = f'/{NODE_NAME}/{OCCUPANCY.topic}'
GRIDS, PICTURE = 'grids', 'last.png'
"""What a result has beside its record: the bag, and the picture of the last grid."""

_WARNINGS = 20  # lines that a record keeps


@contextmanager
def weights_here(model: ModelSettings) -> Iterator[ModelSettings]:
    """The same settings, with weights that lie on this machine."""
    if not is_url(model.weights):
        yield model
        return
    with local_copy(model.weights) as path:
        yield replace(model, weights=str(path))


def sealed(settings: JobSettings) -> JobSettings:
    """The settings with the digest of the weights that they name.

    Raises:
        GdfusionError: weights that are not there, or another file than the settings say.
    """
    with weights_here(settings.of_model) as model:
        return _sealed(settings, model)


def _sealed(settings: JobSettings, model: ModelSettings) -> JobSettings:
    path = select_model(model).weights
    found = '' if path is None else digest(path)
    if settings.weights_sha256 not in ('', found):
        raise GdfusionError(
            f'the weights {path} on {socket.gethostname()} are another file (SHA-256 {found[:12]}…) '
            f'than the job says ({settings.weights_sha256[:12]}…); bring the right one there'
        )
    return msgspec.structs.replace(settings, weights_sha256=found)


@dataclass(frozen=True)
class Workplace:
    """A network that takes bag after bag; made by ``workplace``.

    Attributes:
        settings: with the digest of the weights.
        network: that they ask for.
    """

    settings: JobSettings
    network: OccupancyNetwork

    def attempt(self, job: Job, dataset: Dataset | None = None) -> Outcome:
        """``run``, with every error as a Failure."""
        host = socket.gethostname()
        try:
            return self.run(job, dataset)
        except Exception as error:  # noqa: BLE001 - a bag costs itself, whatever is wrong with it
            expected = isinstance(error, GdfusionError)
            reason = str(error) if expected else f'{type(error).__name__}: {error}'
            return Failure(
                name=job.name,
                source=job.source,
                reason=printable(reason, LONGEST),
                host=host,
                full_disk=_disk_is_full(error),
                unexpected=not expected,
            )

    def run(self, job: Job, dataset: Dataset | None = None, tell: Callable[[str], object] = lambda _: None) -> Record:
        """Do the job, unless it is done already.

        Args:
            job: Its settings have to be those of this workplace.
            dataset: The scene of the job, where it has been read already.
            tell: Told what was refused, a line each.

        Raises:
            GdfusionError: the bag cannot be read, gives no grid, or has no labels to score with; or the result cannot
                be written.
        """
        results = output(job.out)
        if done := read_record(results, job.name, self.settings.fingerprint, job.source):
            return done
        laps, warnings = _Laps(), _Lines(tell)
        with opened(job, self.network.spec, dataset) as (bag, truth), results.result(job.name) as folder:
            laps.lap('fetch')
            chosen = self.settings
            result = replay(
                bag,
                folder / GRIDS,
                self.network,
                chosen.of_pipeline,
                chosen.of_topics,
                protocol=chosen.protocol,
                listener=ReplayListener(warning=warnings),
                form=BagForm(chosen.storage, chosen.format),
                bev=chosen.of_bev,
            )
            laps.lap('replay')
            scores = self._scores(folder / GRIDS, truth()) if self.settings.evaluate else None
            laps.lap('evaluate')
            if self.settings.render:
                _draw(folder / GRIDS, bag, folder / PICTURE, chosen.of_topics)
            laps.lap('render')
            record = Record(
                name=job.name,
                source=job.source,
                fingerprint=self.settings.fingerprint,
                settings=self.settings,
                model=self.network.title,
                versions=_versions(),
                host=socket.gethostname(),
                device=str(next(self.network.parameters()).device),
                begun=laps.begun,
                finished=time.time(),
                seconds=laps.seconds,
                counts=bag_counts(result.counts),
                warnings=warnings.first,
                scores=scores,
            )
            (folder / RECORD).write_bytes(msgspec.json.encode(record))
        return record

    def _scores(self, grids: Path, labels: Truth) -> ScoreCounts:
        released = self.settings.protocol == 'released' and labels.label_set.ignored_is_free
        protocol = ScoringProtocol(
            usual_mask(labels.label_set), rays=self.settings.rays, ignored='free' if released else 'drop'
        )
        return counted(evaluate(labels, BagPredictions([grids], GRID_TOPIC), protocol))


def workplace(settings: JobSettings) -> Workplace:
    """Load the network. ``prepare_process`` was called before this module was imported, and torch with it.

    Raises:
        GdfusionError: settings that are not allowed, or weights that are not there or do not fit.
    """
    set_threads(settings.threads)
    with weights_here(settings.of_model) as model:
        return Workplace(_sealed(settings, model), load_network(model))


def _draw(grids: Path, bag: Path, picture: Path, topics: TopicSettings) -> None:
    """The last grid as a picture, with the images that it was made from."""
    with bag_snapshots(Sources(grids, GRID_TOPIC, (bag,), topics=topics)) as frames:
        sheet.write(picture, frames[len(frames) - 1])


def _versions() -> dict[str, str]:
    return {
        'gdfusion': __version__,
        'torch': str(torch.__version__),
        'numpy': np.__version__,
        'python': platform.python_version(),
    }


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that the disk has no room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(error, sqlite3.OperationalError) and 'disk is full' in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Lines:
    """Passes lines on, and keeps the first ones."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell, self.first = tell, list[str]()

    def __call__(self, line: str) -> None:
        self._tell(line)
        if len(self.first) < _WARNINGS:
            self.first.append(line)


class _Laps:
    """How long the parts of a job take, one after the other."""

    def __init__(self) -> None:
        self.begun, self._last = time.time(), time.monotonic()
        self.seconds: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """``part`` has ended."""
        now = time.monotonic()
        self.seconds[part], self._last = round(now - self._last, 3), now
