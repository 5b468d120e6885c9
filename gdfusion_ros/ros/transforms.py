"""Poses from tf2's buffer, where tf2 is installed; elsewhere from our own tree (perception/transforms.py)."""

from __future__ import annotations

import importlib.util

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.time import Time

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    TransformError,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import Matrix, StampedTransform

_AUTHORITY = 'gdfusion_ros'

_FIRST = 1
"""The first stamp [ns] that tf2 takes for one: it takes 0 for the latest, which is not where an image was taken."""


def tf2_is_wanted(source: str) -> bool:
    """Whether the setting ``tf_source`` means tf2 here.

    Raises:
        GdfusionError: it is asked for and not installed.
    """
    installed = importlib.util.find_spec('tf2_ros') is not None
    if source == 'tf2' and not installed:
        raise GdfusionError(
            "setting 'tf_source': tf2 is asked for but tf2_ros does not import: source a ROS 2 "
            'installation, or use own or auto'
        )
    return source != 'own' and installed


class Tf2Tree:
    """A Tree over a ``tf2_ros.Buffer`` of its own, for one run of time (see EpochTransforms).

    tf2 ignores transforms that are older than its history, so one buffer would find nothing after a bag has looped
    until the old stamps are passed, and it clears itself only where a node's clock jumps.
    """

    def __init__(self, history: int) -> None:
        """``history`` [ns] is the span that is kept."""
        import tf2_ros

        self._tf2 = tf2_ros
        self._buffer = tf2_ros.Buffer(cache_time=Duration(nanoseconds=history))

    def set_static(self, transform: StampedTransform) -> None:
        """See Tree."""
        self._buffer.set_transform_static(_message(transform), _AUTHORITY)

    def set(self, transform: StampedTransform) -> None:
        """See Tree."""
        self._buffer.set_transform(_message(transform), _AUTHORITY)

    def forget(self, child: str) -> None:  # noqa: ARG002 - tf2 cannot tell frames apart here
        """Forget the timed transforms of all frames: tf2 would ignore those to come of one whose clock was ahead."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        """See Tree."""
        if target == source:
            return np.eye(4)
        try:
            message = self._buffer.lookup_transform_core(target, source, Time(nanoseconds=max(stamp, _FIRST)))
        except self._tf2.LookupException as error:
            raise UnknownFrameError(str(error)) from error
        except self._tf2.ConnectivityException as error:
            raise DisconnectedError(str(error)) from error
        except self._tf2.ExtrapolationException as error:
            raise self._outside(target, source, stamp)(str(error)) from error
        except self._tf2.TransformException as error:
            raise TransformError(str(error)) from error
        offset, turn = message.transform.translation, message.transform.rotation
        return pose_matrix((offset.x, offset.y, offset.z), (turn.x, turn.y, turn.z, turn.w))

    def _outside(self, target: str, source: str, stamp: int) -> type[TransformError]:
        """On which side of the known span ``stamp`` lies; tf2 has one exception for both, and for an empty span."""
        try:
            latest = self._buffer.get_latest_common_time(target, source)
        except self._tf2.TransformException:
            return DisconnectedError
        return AfterSpanError if stamp > latest.nanoseconds else BeforeSpanError


def _message(transform: StampedTransform) -> TransformStamped:
    message = TransformStamped(child_frame_id=transform.child)
    message.header.frame_id = transform.parent
    message.header.stamp = Time(nanoseconds=transform.stamp).to_msg()
    message.transform.translation = Vector3(**dict(zip('xyz', transform.translation, strict=True)))
    message.transform.rotation = Quaternion(**dict(zip('xyzw', transform.rotation, strict=True)))
    return message
