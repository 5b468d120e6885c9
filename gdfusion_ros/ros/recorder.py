"""What is published, into a bag."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from gdfusion_ros.bags.messages import require_type
from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC
from gdfusion_ros.ros import bag_qos, qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.names import require_full_topic_name

_LOOK_UP = 0.02
"""How often it is looked whether somebody publishes a topic by now [s]."""


class Recorder:
    """Writes the messages of some topics into a bag as they come; made by ``record``.

    A topic is subscribed to when its first publisher is seen, in the way that all its publishers offer, and stands in
    the bag with what they offer, so that it is played as it was: what was latched is latched again.

    Attributes:
        counts: Messages written so far, by topic.
    """

    def __init__(self, node: Node, writer: BagWriter, thread: Executor, topics: Mapping[str, str]) -> None:
        """Record ``topics`` (name -> message type) from now on; ``writer`` is used in ``thread`` alone.

        Raises:
            GdfusionError: a topic's name is none to ROS, or a message type is not installed.
        """
        self.counts: Counter[str] = Counter()
        self._node, self._writer, self._thread, self._topics = node, writer, thread, topics
        self._offers: dict[str, list[QoSProfile]] = {}
        self._announced: set[str] = set()
        self._last = 0
        self._failure: GdfusionError | None = None
        for topic, type_name in topics.items():
            require_full_topic_name(topic)
            message_class(type_name)
            require_type(type_name)
        node.create_timer(_LOOK_UP, self._subscribe, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def wait_for_publishers(self, seconds: float) -> None:
        """Wait until somebody publishes each topic: what is sent before the two have found each other is lost.

        That a publisher is seen does not say that it sees this subscription. The message of label_info says so, which
        is latched, to one that subscribes to it last: publishers get to know of subscriptions in that order.

        Raises:
            GdfusionError: names the topics that nobody publishes in time.
        """
        deadline = time.monotonic() + seconds
        self._wait_until(set(self._topics), self._offers, deadline, seconds)
        signs = [topic for topic in self._topics if topic.endswith(f'/{LABEL_INFO_TOPIC}')]
        seen: Counter[str] = Counter()
        for topic in signs:
            self._node.create_subscription(
                message_class(self._topics[topic]),
                topic,
                lambda _, topic=topic: seen.update([topic]),
                qos.latched(),
                raw=True,
            )
        self._wait_until(set(signs), seen, deadline, seconds)

    def wait_for(self, topic: str, count: int, seconds: float) -> bool:
        """Wait until ``count`` messages of ``topic`` are written; False where they do not come in time.

        Raises:
            GdfusionError: as for ``check``.
        """
        deadline = time.monotonic() + seconds
        while self.counts[topic] < count and time.monotonic() < deadline:
            self.check()
            time.sleep(_LOOK_UP)
        return self.counts[topic] >= count

    def check(self) -> None:
        """Make sure that everything that came could be written.

        Raises:
            GdfusionError: why it could not.
        """
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Put the topics without any message into the bag, too.

        Raises:
            GdfusionError: as for ``check``.
        """
        self.check()
        for topic in self._topics:
            self._thread.submit(self._announce, topic).result()

    def _announce(self, topic: str) -> None:
        """Put ``topic`` into the bag with what its publishers offer now, or did when it was subscribed to."""
        if topic not in self._announced:
            self._announced.add(topic)
            offers = self._offered(topic) or self._offers.get(topic, [])
            self._writer.add_topic(topic, self._topics[topic], *map(bag_qos.kept, offers))

    def _wait_until(self, topics: set[str], found: Mapping[str, object], deadline: float, seconds: float) -> None:
        while silent := sorted(topics - found.keys()):
            if time.monotonic() > deadline:
                names = ', '.join(f'{topic} ({self._topics[topic]})' for topic in silent)
                raise GdfusionError(
                    f'nobody publishes {names} after {seconds:g} s: is the node active, and does ROS_DOMAIN_ID agree?'
                )
            self.check()
            time.sleep(_LOOK_UP)

    def _subscribe(self) -> None:
        """Subscribe to the topics that have publishers by now."""
        for topic, type_name in self._topics.items():
            if topic not in self._offers and (offers := self._offered(topic)):
                self._node.create_subscription(
                    message_class(type_name), topic, partial(self._take, topic), qos.recording(offers), raw=True
                )
                self._offers[topic] = offers

    def _offered(self, topic: str) -> list[QoSProfile]:
        """What the publishers of ``topic`` offer; one that publishes another type is none of them."""
        return [
            publisher.qos_profile
            for publisher in self._node.get_publishers_info_by_topic(topic)
            if publisher.topic_type == self._topics[topic]
        ]

    def _take(self, topic: str, data: bytes) -> None:
        try:
            self._thread.submit(self._write, topic, data).result()
        except GdfusionError as error:
            self._failure = self._failure or error

    def _write(self, topic: str, data: bytes) -> None:
        self._announce(topic)
        self._last = max(self._last, time.time_ns())
        self._writer.write_serialized(topic, self._last, data)
        self.counts[topic] += 1


@contextmanager
def record(
    path: Path, topics: Mapping[str, str], *, storage: str = 'mcap', bag_format: str = 'jazzy'
) -> Iterator[Recorder]:
    """Record ``topics`` (name -> message type) during the ``with`` block; record times are those of arrival.

    Args:
        path: The new bag.
        topics: What is recorded; a topic that nobody publishes stands in the bag without messages.
        storage, bag_format: See ``bag_writer``.

    Raises:
        GdfusionError: the bag exists or cannot be written, a topic's name is none, or a message type is not installed.
    """
    with (
        _in_one_thread(bag_writer(path, storage=storage, bag_format=bag_format)) as (writer, thread),
        ros_node('gdfusion_record') as node,
    ):
        recorder = Recorder(node, writer, thread, topics)
        with spinning(node):
            yield recorder
        recorder.finish()


@contextmanager
def _in_one_thread(bag: AbstractContextManager[BagWriter]) -> Iterator[tuple[BagWriter, Executor]]:
    """An open bag, and the thread that it was opened in: sqlite3 lets no other write to it."""
    with ThreadPoolExecutor(1, 'recording') as thread:
        stack = ExitStack()
        writer = thread.submit(stack.enter_context, bag).result()
        try:
            yield writer, thread
        except BaseException:
            thread.submit(stack.__exit__, *sys.exc_info()).result()
            raise
        thread.submit(stack.close).result()
