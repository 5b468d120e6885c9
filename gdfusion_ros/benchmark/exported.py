"""How long a frame of an exported network takes: geometry, and the network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gdfusion_ros.model.runtime.exported import ExportedNetwork, trial_inputs


@dataclass(frozen=True)
class ExportedResult:
    """Medians of a run [s].

    Attributes:
        model, device: which network, on which execution provider.
        frames: that were timed.
        geometry, network: of both graphs.
        state: bytes that are remembered.
    """

    model: str
    device: str
    frames: int
    geometry: float
    network: float
    state: int

    @property
    def frame(self) -> float:
        """Of both [s]."""
        return self.geometry + self.network


def run(network: ExportedNetwork, frames: int, tick: Callable[[], object] = lambda: None) -> ExportedResult:
    """Time ``frames`` frames of nothing behind two that are not timed; ``tick`` is called after each timed one."""
    given, state = trial_inputs(network), network.blank_state()
    times = []
    for index in range(frames + 2):
        given['first'] = np.array(index == 0)
        begin = time.perf_counter()
        geometry = network.geometry(given)
        between = time.perf_counter()
        outputs = network({**given, **geometry, **state})
        times.append((between - begin, time.perf_counter() - between))
        if index >= 2:
            tick()
        state = {name.removeprefix('next_'): value for name, value in outputs.items() if name.startswith('next_')}
    geometry_time, network_time = (statistics.median(part) for part in zip(*times[2:], strict=True))
    return ExportedResult(
        network.title,
        network.device,
        frames,
        geometry_time,
        network_time,
        sum(value.nbytes for value in state.values()),
    )
