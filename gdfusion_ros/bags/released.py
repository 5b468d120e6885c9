"""Key frames of a converted nuScenes bag: their tokens, and their LiDAR stamps, which the released protocol takes."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from functools import partial

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.perception.types import nanoseconds

SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE = '/nuscenes/sample_token', 'std_msgs/msg/String'
"""Tokens of the key frames; their record time is LIDAR_TOP's stamp."""

MATCH_WITHIN = nanoseconds(0.1)
"""How far the stamps of an image, or of its grid, and of its key frame may lie apart [ns]: cameras fire at most 50 ms
before the LiDAR, key frames are at least 400 ms apart."""


def lidar_stamps(bag: BagReader) -> Callable[[int], int | None]:
    """Stamp of a camera image [ns] -> LiDAR stamp of its key frame [ns]; None where no key frame is within 0.1 s.

    The authors warp the memory by the ego poses at these stamps (bevdetocc_gf.md §1, QUIRK 2).

    Raises:
        GdfusionError: the bag has no sample tokens.
    """
    bag.require({SAMPLE_TOKEN_TOPIC: SAMPLE_TOKEN_TYPE})
    return partial(nearest, sorted(message.stamp for message in bag.raw_messages([SAMPLE_TOKEN_TOPIC])))


def nearest(stamps: Sequence[int], stamp: int) -> int | None:
    """The one of the sorted ``stamps`` nearest to ``stamp`` [ns]; None if it is farther than MATCH_WITHIN."""
    after = bisect.bisect_left(stamps, stamp)
    found = min(stamps[max(after - 1, 0) : after + 1], key=lambda candidate: abs(candidate - stamp), default=None)
    return found if found is not None and abs(found - stamp) <= MATCH_WITHIN else None
