"""The time of a bag, shown to others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rclpy.node import Node

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import time as time_message
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.factory import RclpyMessages, message_class

_LAST_TIME = 2**31  # s; messages of ROS count seconds in 32 bits


class Ticker(Protocol):
    """Shows the time of the bag to others; ``period`` [s] is the longest time between two calls of ``show``."""

    period: float

    def show(self, stamp: int) -> None:
        """It is ``stamp`` [ns] now."""


class NoClock:
    """Shows nobody the time."""

    period = float('inf')

    def show(self, stamp: int) -> None:
        """Do nothing."""


class Clock:
    """Shows the time on /clock."""

    def __init__(self, node: Node, rate: float) -> None:
        """Publish at ``rate`` [Hz] of wall time."""
        self.period = 1 / rate
        self._publisher = node.create_publisher(message_class('rosgraph_msgs/msg/Clock'), '/clock', qos.clock())
        self._make = RclpyMessages()
        self._next = 0.0

    def show(self, stamp: int) -> None:
        """Publish ``stamp``, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.period
            self._publisher.publish(self._make('rosgraph_msgs/msg/Clock', clock=time_message(stamp, self._make)))


def require_showable(readers: Sequence[BagReader]) -> None:
    """Make sure that /clock can show the time of these bags.

    Raises:
        GdfusionError: names one that it cannot.
    """
    for reader in readers:
        if reader.start + reader.duration >= _LAST_TIME * NANOSECONDS:
            raise GdfusionError(
                f'bag {reader.path} has record times after 2038, which /clock cannot show; play it without --clock'
            )
