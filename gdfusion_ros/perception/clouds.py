"""Which cloud of the LiDAR belongs to a set of images."""

from __future__ import annotations

from collections import deque

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.placement import UnplacedError
from gdfusion_ros.perception.types import NANOSECONDS, CameraSet, LidarCloud, nanoseconds, stamp_text
from gdfusion_ros.settings import PipelineSettings

_KEPT = 50
"""Clouds that are kept for sets that wait, some seconds of a fast LiDAR's."""


class CloudQueue:
    """The clouds that sets may still take. Not thread-safe: the owner locks.

    A set takes the cloud nearest to the middle of its images' stamps, within ``lidar_tolerance``. Which one that is, is
    known as soon as a cloud of that time or later has come, so it does not depend on what arrives first.
    """

    def __init__(self, settings: PipelineSettings, counters: Counters) -> None:
        """``counters`` learn which clouds come out of order."""
        self._tolerance, self._counters = nanoseconds(settings.lidar_tolerance), counters
        self._clouds: deque[LidarCloud] = deque(maxlen=_KEPT)

    def add(self, cloud: LidarCloud) -> None:
        """Take the next cloud."""
        if self._clouds and (cloud.epoch, cloud.stamp) <= (self._clouds[-1].epoch, self._clouds[-1].stamp):
            self._counters.cloud_dropped('out_of_order')
            return
        self._clouds.append(cloud)

    def clear(self) -> None:
        """Forget all clouds."""
        self._clouds.clear()

    def match(self, camera_set: CameraSet, *, patient: bool) -> LidarCloud:
        """The cloud of a set.

        Raises:
            UnplacedError: there is none; it may still come where ``patient`` and nothing later has come.
        """
        stamps = [image.stamp for camera, image in camera_set.images.items() if camera not in camera_set.held]
        middle = (min(stamps) + max(stamps)) // 2
        known = [cloud for cloud in self._clouds if cloud.epoch == camera_set.epoch]
        decided = any((cloud.epoch, cloud.stamp) >= (camera_set.epoch, middle) for cloud in self._clouds)
        nearest = min(known, key=lambda cloud: abs(cloud.stamp - middle), default=None)
        if patient and not decided:
            raise UnplacedError('lidar', 'its cloud has not come yet', may_heal=True)
        if nearest is None or abs(nearest.stamp - middle) > self._tolerance:
            offset = 'none' if nearest is None else f'{(nearest.stamp - middle) / NANOSECONDS:+.3f} s'
            raise UnplacedError(
                'lidar',
                f'no cloud of the LiDAR within {self._tolerance / NANOSECONDS:g} s of {stamp_text(middle)} (nearest: '
                f'{offset}); lidar_topic, lidar_tolerance and missing_lidar say what is done about it',
                may_heal=False,
            )
        return nearest
