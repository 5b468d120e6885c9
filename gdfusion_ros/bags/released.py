"""What the released evaluation protocol takes from a converted nuScenes bag: the LiDAR stamps of its key frames."""

from __future__ import annotations

from collections.abc import Callable

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.perception.types import nanoseconds

SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE = '/nuscenes/sample_token', 'std_msgs/msg/String'
"""Tokens of the key frames; their record time is LIDAR_TOP's stamp."""

_WITHIN = nanoseconds(0.1)  # cameras fire at most 50 ms before the LiDAR, key frames are at least 400 ms apart


def lidar_stamps(bag: BagReader) -> Callable[[int], int | None]:
    """Stamp of a camera image [ns] -> LiDAR stamp of its key frame [ns]; None where no key frame is within 0.1 s.

    The authors warp the memory by the ego poses at these stamps (spec section 1, QUIRK 2).

    Raises:
        GdfusionError: the bag has no sample tokens.
    """
    bag.require({SAMPLE_TOKEN_TOPIC: SAMPLE_TOKEN_TYPE})
    stamps = [message.stamp for message in bag.raw_messages([SAMPLE_TOKEN_TOPIC])]

    def nearest(stamp: int) -> int | None:
        found = min(stamps, key=lambda candidate: abs(candidate - stamp))
        return found if abs(found - stamp) <= _WITHIN else None

    return nearest
