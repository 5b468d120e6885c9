"""Where a message came from, for errors, and when and in which frame it was measured."""

from __future__ import annotations

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.perception.types import NANOSECONDS, stamp_text


def place_of(message: Message, topic: str) -> str:
    """Topic and stamp of a message with a header."""
    return f'{topic} at {stamp_text(stamp_of(message.header.stamp))}'


def measured_at(message: Message, place: str) -> int:
    """The stamp of a header [ns].

    Raises:
        GdfusionError: it is no time since 1970.
    """
    stamp = message.header.stamp
    if int(stamp.sec) < 0 or not 0 <= int(stamp.nanosec) < NANOSECONDS:
        raise GdfusionError(f'{place}: a stamp of {stamp.sec} s and {stamp.nanosec} ns is no time')
    return stamp_of(stamp)


def sensor_frame(message: Message, place: str) -> str:
    """The frame that an image or a cloud was measured in; a leading slash is dropped, as tf2 does.

    Raises:
        GdfusionError: the header names none.
    """
    frame_id = str(message.header.frame_id).lstrip('/')
    if not frame_id:
        raise GdfusionError(f'{place}: the header has no frame_id, so the sensor cannot be placed by TF')
    return frame_id
