"""Poses from tf2's buffer, where tf2 is installed; elsewhere from the own tree (perception/transforms.py)."""

from __future__ import annotations

import importlib.util

import numpy as np
from rclpy.duration import Duration
from rclpy.time import Time

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    Lineage,
    TransformError,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import Matrix, nanoseconds
from gdfusion_ros.settings import PipelineSettings

_AUTHORITY = 'gdfusion_ros'


def tf2_is_wanted(source: str) -> bool:
    """Whether the setting ``tf_source`` means tf2 here.

    Raises:
        GdfusionError: it is asked for and not installed.
    """
    installed = importlib.util.find_spec('tf2_ros') is not None
    if source == 'tf2' and not installed:
        raise GdfusionError("setting 'tf_source': tf2 is asked for but tf2_ros does not import: source a ROS 2 "
                            'installation, or use own or auto')
    return source != 'own' and installed


class Tf2Transforms:
    """TransformSource over a ``tf2_ros.Buffer``, which the node feeds.

    tf2 ignores transforms that are older than its history, so after a bag has looped nothing would be found until the
    old stamps are passed. Hence the buffer is cleared when the time of a frame jumps back that places the vehicle or
    its cameras, whether the node runs on simulated time or not (a Buffer with a node looks at the clock alone). tf2
    knows no epochs: a set that still waits for its transforms at that moment is lost.
    """

    def __init__(self, settings: PipelineSettings) -> None:
        """An empty buffer."""
        import tf2_ros

        self._tf2 = tf2_ros
        self._jump_back = nanoseconds(settings.time_jump_back)
        self._newest: dict[str, int] = {}
        self._lineage = Lineage(settings.base_frame)
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=settings.tf_history))

    def add(self, message: Message, *, static: bool) -> None:
        """Take a ``tf2_msgs/TFMessage``; tf2 says itself what it refuses."""
        for stamped in message.transforms:
            self._lineage.add(stamped.header.frame_id.lstrip('/'), stamped.child_frame_id.lstrip('/'))
            if static:
                self._buffer.set_transform_static(stamped, _AUTHORITY)
            else:
                self._clear_after_jump(stamped.child_frame_id.lstrip('/'), stamp_of(stamped.header.stamp))
                self._buffer.set_transform(stamped, _AUTHORITY)

    def lookup(self, target: str, source: str, stamp: int, epoch: int) -> Matrix:  # noqa: ARG002 - tf2 has no epochs
        """See TransformSource."""
        if target == source:
            return np.eye(4)
        try:
            message = self._buffer.lookup_transform_core(target, source, Time(nanoseconds=stamp))
        except self._tf2.LookupException as error:
            raise UnknownFrameError(str(error)) from error
        except self._tf2.ConnectivityException as error:
            raise DisconnectedError(str(error)) from error
        except self._tf2.ExtrapolationException as error:
            raise self._outside(target, source, stamp)(str(error)) from error
        except self._tf2.TransformException as error:
            raise TransformError(str(error)) from error
        self._lineage.ask(target, source)
        offset, turn = message.transform.translation, message.transform.rotation
        return pose_matrix((offset.x, offset.y, offset.z), (turn.x, turn.y, turn.z, turn.w))

    def clear(self) -> None:
        """Forget the timed transforms; tf2 keeps the static ones."""
        self._newest.clear()
        self._buffer.clear()

    def _clear_after_jump(self, child: str, stamp: int) -> None:
        if child in self._lineage and stamp < self._newest.get(child, stamp) - self._jump_back:
            self.clear()
        self._newest[child] = max(stamp, self._newest.get(child, stamp))

    def _outside(self, target: str, source: str, stamp: int) -> type[TransformError]:
        """On which side of the known span ``stamp`` lies; tf2 has one exception for both, and for an empty span."""
        try:
            latest = self._buffer.get_latest_common_time(target, source)
        except self._tf2.TransformException:
            return DisconnectedError
        return AfterSpanError if stamp > latest.nanoseconds else BeforeSpanError
