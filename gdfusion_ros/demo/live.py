"""Bags over DDS to a live node in a process of its own, and what it publishes into a bag.

Imports ROS: ``ros.environment.prepare`` comes first.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gdfusion_ros.demo.folder import Folder
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE, NODE_NAME, OCCUPANCY
from gdfusion_ros.ros.outputs import LATENCY_TOPIC, installed_outputs
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.process import EVERY_SET, node_process
from gdfusion_ros.ros.recorder import Recorder, record
from gdfusion_ros.ros.stall import Stall, processor_time
from gdfusion_ros.settings import BevSettings, ModelSettings, model_arguments

NODE = f'/{NODE_NAME}'
GRIDS_TOPIC, LATENCY = f'{NODE}/{OCCUPANCY.topic}', f'{NODE}/{LATENCY_TOPIC}'

RECORDED = {
    **{f'{NODE}/{output.topic}': output.type_name for output in installed_outputs(BevSettings())},
    f'{NODE}/{LABEL_INFO_TOPIC}': LABEL_INFO_TYPE,
    **dict.fromkeys((LATENCY, DIAGNOSTICS_TOPIC), DIAGNOSTICS_TYPE),
}
"""Topic -> type of all that the node publishes."""

_SUBSCRIPTION_TIMEOUT = 120.0
_GRID_TIMEOUT = 120.0  # without a new grid, and idle
_DIAGNOSTICS_TIMEOUT = 30.0
_LOOK_UP = 0.1


class Bar(Protocol):
    """A progress bar."""

    n: float

    def update(self, n: float) -> object:
        """It went on by ``n``."""


def run_node(
    bags: Sequence[Path],
    folder: Folder,
    model: ModelSettings,
    expected: int,
    bar: Bar,
    *,
    storage: str = 'mcap',
    bag_format: str = 'jazzy',
) -> int:
    """Play ``bags`` to a node of its own and record what it publishes until it is done; the number of grids.

    ``storage`` and ``bag_format`` are those of the recording, see ``bag_writer``.

    Raises:
        GdfusionError: the node ends by itself, or publishes nothing.
    """
    with (
        folder.log.open('wb') as log,
        record(folder.grids, RECORDED, storage=storage, bag_format=bag_format) as recorder,
    ):
        try:
            with node_process([*model_arguments(model), *EVERY_SET], name=NODE, log=log) as process:
                watch = _Watch(process, recorder, bar)
                recorder.wait_for_publishers(_SUBSCRIPTION_TIMEOUT)
                play(bags, Playback(wait=_SUBSCRIPTION_TIMEOUT), lambda _: watch.finish())
                watch.wait(expected)
        except GdfusionError as error:
            raise GdfusionError(f'{error}; {folder.log} ends with: {_last_line(folder.log)}') from error
        grids = recorder.counts[GRIDS_TOPIC]
    if not grids:
        raise GdfusionError(
            f'the node published no grid, and has computed nothing for {_GRID_TIMEOUT:g} s; see {folder.log}'
        )
    return grids


def _last_line(log: Path) -> str:
    lines = log.read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), 'nothing')


class _Watch:
    """Follows a node at work."""

    def __init__(self, process: subprocess.Popen[bytes], recorder: Recorder, bar: Bar) -> None:
        self._process, self._recorder, self._bar = process, recorder, bar

    def finish(self) -> None:
        """Show how far it is.

        Raises:
            GdfusionError: it has ended, or the recording cannot be written.
        """
        if (new := self._recorder.counts[GRIDS_TOPIC] - self._bar.n) > 0:
            self._bar.update(new)
        self._recorder.check()
        if self._process.poll() is not None:
            raise GdfusionError(f'the node ended with exit code {self._process.returncode}')

    def wait(self, expected: int) -> None:
        """Wait for ``expected`` grids, as long as they keep coming, and for the diagnostics that count the last one.

        Raises:
            GdfusionError: it has ended.
        """
        stall = Stall(_GRID_TIMEOUT, processor_time(self._process.pid))
        while (grids := self._recorder.counts[GRIDS_TOPIC]) < expected and not stall:
            time.sleep(_LOOK_UP)
            self.finish()
            if self._recorder.counts[GRIDS_TOPIC] > grids:
                stall.heard()
        self._recorder.wait_for(DIAGNOSTICS_TOPIC, self._recorder.counts[DIAGNOSTICS_TOPIC] + 2, _DIAGNOSTICS_TIMEOUT)
        self.finish()
