"""What a recording of the live node says of its work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TYPE, statuses
from gdfusion_ros.messages.outputs import NODE_NAME

Row = tuple[str, object]

_BEFORE_THE_WORKER = ('place', 'queue')


def counts(bag: BagReader, topic: str) -> Iterator[Row]:
    """Images, sets and grids that the node's last diagnostics count, as lines of a table.

    Raises:
        GdfusionError: no diagnostics of the node on ``topic``; others may be there.
    """
    bag.require({topic: DIAGNOSTICS_TYPE})
    values: dict[str, Mapping[str, str]] = {}
    for item in bag.messages([topic]):
        named = [(status.name.rpartition(': '), status.values) for status in statuses(item.message.status)]
        values = {part: counted for (node, _, part), counted in named if node == NODE_NAME} or values
    if not values:
        raise GdfusionError(f'bag {bag.path}: {topic} has no diagnostics of the node {NODE_NAME}')
    cameras = {name: counted for name, counted in values.items() if 'received' in counted}
    yield 'images in', sum(int(counted['received']) for counted in cameras.values())
    for name, counted in cameras.items():
        yield from _losses(f'  {name}, ', counted)
    yield 'camera sets made', values['sets']['made']
    yield from _losses('  ', values['sets'])
    yield 'grids out', values['sets']['grids']
    yield from ((f'memory, {key}', count) for key, count in values['recurrent memory'].items())


def latencies(bag: BagReader, topic: str) -> dict[str, NDArray[np.float64]]:
    """Milliseconds that each stage took (see ros/timing.py), one value a frame.

    Raises:
        GdfusionError: no frames on ``topic``.
    """
    bag.require({topic: DIAGNOSTICS_TYPE})
    frames = [statuses(item.message.status)[0].values for item in bag.messages([topic])]
    return {stage: np.array([float(frame[stage]) for frame in frames]) for stage in frames[0]}


def percentiles(stages: Mapping[str, NDArray[np.float64]]) -> list[tuple[str, float, float, float]]:
    """Stage, median, 95 % and worst [ms], as lines of a table; the last line is the whole."""
    total = np.sum(list(stages.values()), axis=0)
    return [(name, *np.percentile(times, (50, 95, 100))) for name, times in (*stages.items(), ('total', total))]


def capacity(stages: Mapping[str, NDArray[np.float64]]) -> float:
    """Grids a second that the node could go on giving: its worker sees one set after the other, without pauses."""
    busy = sum(float(times.mean()) for stage, times in stages.items() if stage not in _BEFORE_THE_WORKER)
    return 1000 / busy


def _losses(place: str, counted: Mapping[str, str]) -> Iterator[Row]:
    yield from ((place + key, count) for key, count in counted.items() if key.startswith(('dropped', 'refused')))
