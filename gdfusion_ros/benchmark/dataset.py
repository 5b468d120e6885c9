"""How fast the reader and the converter are, each measured in a process of its own."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdfusion_ros.benchmark import plain_write, trainval_tables
from gdfusion_ros.benchmark.alone import peak_memory
from gdfusion_ros.benchmark.plain_write import Picture
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import Job, plan
from gdfusion_ros.process_pool import ProcessPool

STORAGES = ('mcap', 'sqlite3')


@dataclass(frozen=True)
class Conversion:
    """Medians of alternating runs: ``convert`` and ``plain`` [s] for bags with ``size`` bytes of images."""

    storage: str
    scenes: int
    size: int
    convert: float
    plain: float

    @property
    def speed(self) -> float:
        """Of the converter, as a share of rosbags' alone."""
        return self.plain / self.convert


@dataclass(frozen=True)
class Loading:
    """What it took to read tables of so many rows, with sweeps and annotations: seconds and peak memory [bytes]."""

    scenes: int
    sample_data: int
    annotations: int
    seconds: float
    peak_memory: int


def conversion(dataset: Dataset, repetitions: int, on_run: Callable[[], object]) -> list[Conversion]:
    """Convert scenes, and write their images with rosbags alone, by turns, with every storage.

    Both read the files and leave the bags to the system to bring to the disk. The first run of each is not counted.

    Args:
        dataset: Key frames are converted, all that is there.
        repetitions: Runs that are counted.
        on_run: Told of every run.

    Raises:
        GdfusionError: see ``plan`` and ``convert``.
    """
    results = []
    with ProcessPool(1) as ours, ProcessPool(1) as theirs:
        for storage in STORAGES:
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(repetitions + 1):
                with tempfile.TemporaryDirectory() as folder:
                    jobs = plan(dataset, Path(folder) / 'converted')
                    bags = [(Path(folder) / job.path.name, pictures(job)) for job in jobs]
                    times[0].append(ours.submit(_convert, jobs, storage).result())
                    times[1].append(theirs.submit(plain_write.write, bags, storage).result())
                on_run()
            size = sum(job.size for job in jobs)
            results.append(Conversion(storage, len(jobs), size, *(statistics.median(run[1:]) for run in times)))
    return results


def pictures(job: Job) -> list[Picture]:
    """The images of a job, in time order."""
    images = (data for data in job.measurements() if data.calibration.modality == 'camera')
    return sorted(
        (Picture(data.calibration.channel, data.stamp, data.path) for data in images), key=lambda picture: picture.stamp
    )


def loading(share: float) -> Loading:
    """Generate tables of a ``share`` of v1.0-trainval's size (0.1 are 85 scenes) and read all of them."""
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPool(1) as writer:
            counts = writer.submit(trainval_tables.write, Path(folder), share).result()
        with ProcessPool(1) as reader:
            return Loading(*counts, *reader.submit(_load, Path(folder)).result())


def _convert(jobs: Sequence[Job], storage: str) -> float:
    begin = time.perf_counter()
    for job in jobs:
        convert(job, storage=storage)
    return time.perf_counter() - begin


def _load(root: Path) -> tuple[float, int]:
    begin = time.perf_counter()
    dataset = nuscenes.load(root, sweeps=True, annotations=True)
    seconds = time.perf_counter() - begin
    assert all(scene.sweeps and scene.samples for scene in dataset.scenes)
    return seconds, peak_memory()
