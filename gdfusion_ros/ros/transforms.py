"""Poses from tf2's buffer, where tf2_ros is installed; elsewhere the own tree (perception/transforms.py) is fed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.decode import transform
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    TransformError,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import NANOSECONDS, Matrix
from gdfusion_ros.settings import PipelineSettings


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
    """TransformSource over a ``tf2_ros.Buffer`` that listens to /tf and /tf_static.

    tf2 ignores transforms that are older than its history, so after a bag has looped nothing would be found until the
    old stamps are passed. Hence the buffer is cleared when the time of a frame jumps back. It knows no epochs: a set
    that still waits for its transforms at that moment is lost.
    """

    def __init__(self, node: Node, settings: PipelineSettings) -> None:
        """An empty buffer."""
        import tf2_ros

        self._tf2, self._node = tf2_ros, node
        self._jump_back = round(settings.time_jump_back * NANOSECONDS)
        self._newest: dict[str, int] = {}
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=settings.tf_history), node=node)

    def listen(self, on_change: Callable[[], None]) -> None:
        """Subscribe to /tf and /tf_static; ``on_change`` is called when a transform has come."""
        self._on_change = on_change
        self._listener = self._tf2.TransformListener(_Watched(self), self._node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp: int, epoch: int) -> Matrix:  # noqa: ARG002 - tf2 has no epochs
        """See TransformSource."""
        try:
            message = self._buffer.lookup_transform_core(target, source, Time(nanoseconds=stamp))
        except self._tf2.LookupException as error:
            raise UnknownFrameError(str(error)) from error
        except self._tf2.ConnectivityException as error:
            raise DisconnectedError(str(error)) from error
        except self._tf2.ExtrapolationException as error:
            raise self._extrapolation(target, source, stamp)(str(error)) from error
        found = transform(message, '/tf')
        return pose_matrix(found.translation, found.rotation)

    def clear(self) -> None:
        """Forget the timed transforms; tf2 keeps the static ones."""
        self._newest.clear()
        self._buffer.clear()

    def add(self, message: Message, authority: str) -> None:
        """A transform of /tf."""
        child, stamp = message.child_frame_id, stamp_of(message.header.stamp)
        if stamp < self._newest.get(child, stamp) - self._jump_back:
            self.clear()
        self._newest[child] = max(stamp, self._newest.get(child, stamp))
        self._buffer.set_transform(message, authority)
        self._on_change()

    def add_static(self, message: Message, authority: str) -> None:
        """A transform of /tf_static."""
        self._buffer.set_transform_static(message, authority)
        self._on_change()

    def destroy(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def _extrapolation(self, target: str, source: str, stamp: int) -> type[TransformError]:
        latest = self._buffer.get_latest_common_time(target, source)
        return AfterSpanError if stamp > latest.nanoseconds else BeforeSpanError


class _Watched:
    """What tf2's listener takes for a buffer."""

    def __init__(self, transforms: Tf2Transforms) -> None:
        self.set_transform: Callable[[Any, str], None] = transforms.add
        self.set_transform_static: Callable[[Any, str], None] = transforms.add_static
