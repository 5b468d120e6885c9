"""What is published, into a bag."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rclpy.node import Node

from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class


class Recorder:
    """Writes the messages of some topics into a bag as they come; made by ``record``.

    Attributes:
        counts: Messages written so far, by topic.
    """

    def __init__(self, node: Node, writer: BagWriter, topics: Mapping[str, str]) -> None:
        """Subscribe to ``topics`` (name -> message type)."""
        self.counts: Counter[str] = Counter()
        self._node, self._writer, self._topics = node, writer, topics
        self._last = 0
        self._latched = [topic for topic in topics if topic.endswith(f'/{LABEL_INFO_TOPIC}')]
        for topic, type_name in sorted(topics.items(), key=lambda item: item[0] in self._latched):
            writer.add_topic(topic, type_name)
            profile = qos.latched() if topic in self._latched else qos.recording()
            node.create_subscription(message_class(type_name), topic, partial(self._write, topic), profile, raw=True)

    def wait_for_publishers(self, seconds: float) -> None:
        """Wait until somebody publishes each topic: what is sent before the two have found each other is lost.

        That a publisher is seen does not say that it sees this subscription. The message of a latched topic says so,
        also for all subscriptions that were made before: publishers get to know of them in that order.

        Raises:
            GdfusionError: names the topics that nobody publishes in time.
        """
        deadline = time.monotonic() + seconds
        while silent := [topic for topic in self._topics if not self._found(topic)]:
            if time.monotonic() > deadline:
                raise GdfusionError(f'nobody publishes {", ".join(silent)} after {seconds:g} s: is the node '
                                    'active, and does ROS_DOMAIN_ID agree?')
            time.sleep(0.02)

    def _found(self, topic: str) -> bool:
        return self.counts[topic] > 0 if topic in self._latched else self._node.count_publishers(topic) > 0

    def wait_for(self, topic: str, count: int, seconds: float) -> bool:
        """Wait until ``count`` messages of ``topic`` are written; False where they do not come in time."""
        deadline = time.monotonic() + seconds
        while self.counts[topic] < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.counts[topic] >= count

    def _write(self, topic: str, data: bytes) -> None:
        self._last = max(self._last, time.time_ns())
        self._writer.write_serialized(topic, self._last, data)
        self.counts[topic] += 1


@contextmanager
def record(path: Path, topics: Mapping[str, str]) -> Iterator[Recorder]:
    """Record ``topics`` (name -> message type) during the ``with`` block; record times are those of arrival.

    Raises:
        GdfusionError: the bag exists or cannot be written, or a message type is not installed.
    """
    with bag_writer(path) as writer, ros_node('gdfusion_record') as node:
        recorder = Recorder(node, writer, topics)
        with spinning(node):
            yield recorder
