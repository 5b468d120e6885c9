"""How long a frame takes from its last image to its grid, stage by stage."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STAGES = ('receive', 'assemble', 'pixels', 'frame', 'network', 'grid', 'publish')
"""The stages of a frame, from the last image's arrival in DDS to the published grid, without gaps:

receive: until the node's callback has the image; assemble: until the set has its images and transforms and the worker
takes it; pixels: until the last images are decoded and resized; frame: matrices and normalisation; network; grid: back
from the device; publish: messages made and handed to DDS.
"""

_KEPT = 4096


@dataclass(frozen=True)
class Arrival:
    """Monotonic times [s] at which DDS received an image and at which the node's callback got it."""

    received: float
    called: float


class Arrivals:
    """When the images that are on their way came in. Thread-safe, bounded."""

    def __init__(self) -> None:
        """Nothing came in yet."""
        self._lock = threading.Lock()
        self._arrivals: OrderedDict[tuple[str, int], Arrival] = OrderedDict()

    def note(self, camera: str, stamp: int, received: int) -> None:
        """The image of ``camera`` at ``stamp`` is here; DDS had it at the system time ``received`` [ns]."""
        called = time.monotonic()
        waited = max(0.0, (time.time_ns() - received) * 1e-9)
        with self._lock:
            self._arrivals[camera, stamp] = Arrival(called - waited, called)
            if len(self._arrivals) > _KEPT:
                self._arrivals.popitem(last=False)

    def last(self, images: Iterable[tuple[str, int]]) -> Arrival:
        """Of the images (camera, stamp) of a set, the one that came last."""
        with self._lock:
            return max((self._arrivals[image] for image in images), key=lambda arrival: arrival.called)


def stages(arrival: Arrival, taken: float, estimator: Mapping[str, float], published: float) -> dict[str, float]:
    """Seconds in each of STAGES.

    Args:
        arrival: The last image's.
        taken: Monotonic time at which the worker took the set.
        estimator: OccupancyEstimator.latency.
        published: Monotonic time at which the grid was with DDS.
    """
    computed = taken + sum(estimator.values())
    return {'receive': arrival.called - arrival.received, 'assemble': taken - arrival.called, **estimator,
            'publish': published - computed}
