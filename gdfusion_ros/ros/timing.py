"""How long a frame takes from its last image to its grid, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gdfusion_ros.perception.types import NANOSECONDS, PosedSet

STAGES = ('place', 'queue', 'pixels', 'frame', 'network', 'grid', 'publish')
"""The stages of a frame, without gaps from the arrival of its last image in DDS to the published grid:

place: until the node has the image and the transforms of the set; queue: until the worker takes the set; pixels: until
its last images are decoded and resized; frame: matrices and normalisation; network; grid: back from the device;
publish: messages made and handed to DDS.
"""

_LONGEST_WAIT = 10.0
"""A message that seems to have waited longer for its callback has a wrong time stamp [s]."""


def arrival(info: Mapping[str, Any]) -> float:
    """Monotonic time [s] at which DDS received a message, of which rclpy tells the system time [ns].

    Now, where nobody tells (Cyclone DDS says 0, Humble's rclpy nothing) or the system time has been set meanwhile.
    """
    waited = (time.time_ns() - int(info.get('received_timestamp', 0))) / NANOSECONDS
    return time.monotonic() - (waited if 0 < waited < _LONGEST_WAIT else 0.0)


def stages(posed: PosedSet, taken: float, estimator: Mapping[str, float], published: float) -> dict[str, float]:
    """Seconds in each of STAGES.

    Args:
        posed: The set; ``arrival`` was the clock of its assembler.
        taken: Monotonic time at which the worker took it [s].
        estimator: OccupancyEstimator.latency.
        published: Monotonic time at which the grid was with DDS [s].
    """
    computed = taken + sum(estimator.values())
    return {
        'place': posed.placed - posed.completed,
        'queue': taken - posed.placed,
        **estimator,
        'publish': published - computed,
    }
