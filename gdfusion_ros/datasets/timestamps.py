"""The timestamps of nuScenes' tables: whole microseconds, which other tools take for other units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from gdfusion_ros.errors import GdfusionError

_NANOSECONDS = 1_000
_LATEST = 10**6 << 31
"""The first microsecond that a ROS stamp, whose seconds have 31 bits, does not have."""

_KEY_FRAME_GAPS = {'seconds': (0, 10), 'milliseconds': (10, 10_000), 'nanoseconds': (60_000_000, math.inf)}
"""What a gap between two key frames in nuScenes' microseconds would be, 10 ms to 60 s, if it were in other units."""

_FARTHEST_FROM_SAMPLE = 60 * 10**9
"""How far a measurement may be from the key frame that it belongs to [ns]; in nuScenes it is half a second."""


def nanoseconds(timestamp: float) -> int:
    """A timestamp of a table in nanoseconds.

    Raises:
        ValueError: it is not in whole microseconds, or beyond ROS's stamps.
    """
    if timestamp >= _LATEST:
        raise ValueError(
            f'timestamp {timestamp} is beyond the year 2038 in microseconds, which nuScenes has; '
            'if these are nanoseconds, divide the timestamps of sample and sample_data by 1000'
        )
    if timestamp != int(timestamp):
        raise ValueError(
            f'timestamp {timestamp} has a fraction, nuScenes has whole microseconds; if these are '
            'seconds, multiply the timestamps of sample and sample_data by 1000000'
        )
    return int(timestamp) * _NANOSECONDS


def require_microseconds(folder: Path, scenes: Mapping[str, Sequence[int]]) -> None:
    """Notice other units of time by the gaps between key frames. Expects at least some scene with two of them.

    Args:
        folder: Of the tables.
        scenes: Name of a scene -> the stamps of its key frames [ns], in any order.

    Raises:
        GdfusionError: half of the gaps or more would be too short or too long.
    """
    stamps = {name: sorted(moments) for name, moments in scenes.items()}
    gaps = sorted(later - earlier for moments in stamps.values() for earlier, later in pairwise(moments))
    gap = gaps[len(gaps) // 2] / _NANOSECONDS if gaps else 500_000
    for unit, (least, most) in _KEY_FRAME_GAPS.items():
        if least <= gap < most:
            name, moments = max(stamps.items(), key=lambda item: item[1][-1] - item[1][0] if item[1] else 0)
            raise GdfusionError(
                f'{folder}/sample.json: {name} with {len(moments)} key frames lasts '
                f'{(moments[-1] - moments[0]) / 1e9:g} s if its timestamps are microseconds, as nuScenes has them; '
                f'these look like {unit}: convert the timestamps of sample and sample_data'
            )


def require_near(folder: Path, token: str, stamp: int, sample: str, sample_stamp: int) -> None:
    """Make sure that the measurement ``token`` and its ``sample`` were taken together, by their stamps [ns].

    Raises:
        GdfusionError: they are farther apart than a minute.
    """
    apart = abs(stamp - sample_stamp)
    if apart > _FARTHEST_FROM_SAMPLE:
        raise GdfusionError(
            f'{folder}/sample_data.json: row {token} is {apart / 1e9:g} s from its sample {sample}; '
            'the timestamps of both tables are to be microseconds of one clock'
        )
