"""The whole way in one go: nuScenes to bags, bags over DDS to a live node, its grids into a bag, the last as a picture.

Imports ROS: ``ros.environment.prepare`` comes first.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.bags.frames import Sources, bag_frames
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.recording import DIAGNOSTICS_TYPE, Row, counts, latencies
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.bev import BevSettings
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE, NODE_NAME, OCCUPANCY, outputs
from gdfusion_ros.ros.outputs import LATENCY_TOPIC
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.process import EVERY_SET, model_arguments, node_process
from gdfusion_ros.ros.recorder import Recorder, record
from gdfusion_ros.settings import ModelSettings
from gdfusion_ros.visualization import sheet

NODE = f'/{NODE_NAME}'
GRIDS_TOPIC, LATENCY, DIAGNOSTICS = f'{NODE}/{OCCUPANCY.topic}', f'{NODE}/{LATENCY_TOPIC}', '/diagnostics'

RECORDED = {
    **{f'{NODE}/{output.topic}': output.type_name for output in outputs(BevSettings())},
    f'{NODE}/{LABEL_INFO_TOPIC}': LABEL_INFO_TYPE,
    **dict.fromkeys((LATENCY, DIAGNOSTICS), DIAGNOSTICS_TYPE),
}
"""Topic -> type of all that the node publishes."""


_MARK = '.gdfusion-demo'
_SUBSCRIPTION_TIMEOUT = 30.0
_GRID_TIMEOUT = 120.0  # without a new grid; the first one compiles kernels
_DIAGNOSTICS_TIMEOUT = 5.0
_LOOK_UP = 0.1


class Bar(Protocol):
    """A progress bar."""

    n: float

    def update(self, n: float) -> object:
        """It went on by ``n``."""


class ProgressBars(Protocol):
    """Makes progress bars."""

    def __call__(self, total: int, unit: str, description: str, *, scaled: bool = False) -> AbstractContextManager[Bar]:
        """A bar of ``total`` units; ``scaled`` writes large numbers short."""
        ...


@dataclass(frozen=True)
class Result:
    """What a demo did.

    Attributes:
        expected: Camera sets in the bags.
        grids: Grids that the node published.
        counts: What the node counted, as lines of a table.
        latencies: Milliseconds in each stage of the node (see ros/timing.py), one value a frame.
        picture: The picture of the last grid.
        model: What made the grids; says so if it is untrained.
    """

    expected: int
    grids: int
    counts: Sequence[Row]
    latencies: Mapping[str, NDArray[np.float64]]
    picture: Path
    model: str


@dataclass(frozen=True)
class Folder:
    """Where a demo keeps what it makes."""

    path: Path

    @property
    def bags(self) -> Path:
        """One bag a scene."""
        return self.path / 'bags'

    @property
    def grids(self) -> Path:
        """The bag with what the node published."""
        return self.path / 'grids'

    @property
    def picture(self) -> Path:
        """The last grid."""
        return self.path / 'last_grid.png'

    @property
    def log(self) -> Path:
        """What the node printed."""
        return self.path / 'node.log'

    def clear(self) -> None:
        """Make the folder ready: an earlier demo's output is removed, anything else is left alone.

        Raises:
            GdfusionError: the folder holds something and is not an earlier demo's, or it cannot be written.
        """
        mark = self.path / _MARK
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not mark.exists() and any(self.path.iterdir()):
                raise GdfusionError(f'{self.path} is not empty and not of an earlier demo; choose another folder')
            mark.touch()
            for folder in (self.bags, self.grids):
                if folder.exists():
                    shutil.rmtree(folder)
            for file in (self.picture, self.log):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise GdfusionError(f'{self.path} cannot be written: {error.strerror}') from error


def run(dataset: Dataset, folder: Folder, model: ModelSettings, progress: ProgressBars) -> Result:
    """Convert ``dataset``, run the node on it, render the last grid.

    Raises:
        GdfusionError: neither weights nor ``untrained`` are given; images are missing; the node fails or is silent.
    """
    if bool(model.weights) == model.untrained:
        raise GdfusionError('give --weights FILE, or --untrained to try the way with random weights (not both)')
    folder.clear()
    jobs = plan(dataset, folder.bags)
    with progress(sum(job.size for job in jobs), 'B', 'convert', scaled=True) as bar:
        for job in jobs:
            convert(job, on_file=bar.update)
    expected = sum(len(job.scene.samples) for job in jobs)
    with progress(expected, 'grid', 'live node') as bar:
        grids = _run_node([job.path for job in jobs], folder, model, expected, bar)
    if not grids:
        raise GdfusionError(f'the node published no grid within {_GRID_TIMEOUT:g} s; see {folder.log}')
    with bag_reader(folder.grids) as bag:
        seen = list(counts(bag, DIAGNOSTICS)), latencies(bag, LATENCY)
    with bag_frames(Sources(folder.grids, GRIDS_TOPIC, tuple(job.path for job in jobs))) as frames:
        last = frames[len(frames) - 1]
    sheet.write(folder.picture, last)
    return Result(expected, grids, *seen, folder.picture, last.grid.model)


def _run_node(bags: Sequence[Path], folder: Folder, model: ModelSettings, expected: int, bar: Bar) -> int:
    """Play ``bags`` to a node of its own and record what it publishes until it is done; the number of grids."""
    with folder.log.open('wb') as log, record(folder.grids, RECORDED) as recorder:
        try:
            with node_process([*model_arguments(model), *EVERY_SET], name=NODE, log=log) as process:
                watch = _Watch(process, recorder, bar)
                recorder.wait_for_publishers(_SUBSCRIPTION_TIMEOUT)
                play(bags, Playback(wait=_SUBSCRIPTION_TIMEOUT), lambda _: watch.look())
                watch.wait(expected)
        except GdfusionError as error:
            raise GdfusionError(f'{error}; {folder.log} ends with: {_last_line(folder.log)}') from error
        return recorder.counts[GRIDS_TOPIC]


def _last_line(log: Path) -> str:
    lines = log.read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), 'nothing')


class _Watch:
    """Follows a node at work."""

    def __init__(self, process: subprocess.Popen[bytes], recorder: Recorder, bar: Bar) -> None:
        self._process, self._recorder, self._bar = process, recorder, bar

    def look(self) -> None:
        """Show how far it is.

        Raises:
            GdfusionError: it has ended.
        """
        if (new := self._recorder.counts[GRIDS_TOPIC] - self._bar.n) > 0:
            self._bar.update(new)
        if self._process.poll() is not None:
            raise GdfusionError(f'the node ended with exit code {self._process.returncode}')

    def wait(self, expected: int) -> None:
        """Wait for ``expected`` grids, as long as they keep coming, and for the diagnostics that count the last one.

        Raises:
            GdfusionError: it has ended.
        """
        deadline = time.monotonic() + _GRID_TIMEOUT
        while (grids := self._recorder.counts[GRIDS_TOPIC]) < expected and time.monotonic() < deadline:
            time.sleep(_LOOK_UP)
            self.look()
            if self._recorder.counts[GRIDS_TOPIC] > grids:
                deadline = time.monotonic() + _GRID_TIMEOUT
        self._recorder.wait_for(DIAGNOSTICS, self._recorder.counts[DIAGNOSTICS] + 2, _DIAGNOSTICS_TIMEOUT)
        self.look()
