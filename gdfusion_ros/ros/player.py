"""Bags played over DDS: the recorded bytes, with the recorded QoS, at the recorded pace."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rclpy.duration import Duration
from rclpy.node import Node

from gdfusion_ros.bags.reader import BagReader, RawMessage, Topic, bag_reader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, TF_TYPE
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros import bag_qos
from gdfusion_ros.ros.clock import Clock, NoClock, Ticker, require_showable
from gdfusion_ros.ros.context import ros_node
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.names import require_topic_name

_KINDS = {
    'sensor_msgs/msg/CompressedImage': 'image',
    'sensor_msgs/msg/Image': 'image',
    CAMERA_INFO_TYPE: 'calibration',
    TF_TYPE: 'transforms',
}
"""Message types that the occupancy node subscribes to, and which of its inputs they are."""

_LONGEST_SEAM = 1.0
"""Between two bags or two loops, see ``timeline`` [s]."""

_SETTLE = 0.3
"""How long no further topic may find a subscriber before those that have one are taken for all [s]."""

_ACKNOWLEDGEMENTS = 5.0
"""How long listeners may take for what they have not acknowledged at the end [s]."""

_LOOK_UP = 0.05
"""How long Python sees to no signal meanwhile [s]."""

_LONGEST_SLEEP = 3600.0
"""At once [s]: the system refuses years."""


@dataclass(frozen=True)
class Playback:
    """How bags are played.

    Attributes:
        rate: Speed; 2 plays twice as fast as it was recorded.
        loops: How often; 0 means until it is stopped.
        start: Where to begin in every bag [s].
        topics: Only these; empty means all.
        clock: Rate of /clock in wall time [Hz]; 0 means none.
        wait: Time to wait for subscribers on the inputs of the occupancy node [s]; 0 means not at all.
    """

    rate: float = 1.0
    loops: int = 1
    start: float = 0.0
    topics: tuple[str, ...] = ()
    clock: float = 0.0
    wait: float = 0.0


class Event(NamedTuple):
    """A message and the playing time [s] at which it is due."""

    due: float
    message: RawMessage


def play(
    bags: Sequence[Path],
    playback: Playback,
    on_message: Callable[[str], object] = lambda _topic: None,
    on_skipped: Callable[[str], object] = lambda _line: None,
) -> Counter[str]:
    """Publish the messages of ``bags``, one bag after the other.

    Args:
        bags: Folders or files.
        playback: How.
        on_message: Called with the topic of each message after it was published.
        on_skipped: Called with one line for each topic that is left out, being none of ROS 2 or its message type not
            being installed, for each file that is, and one where a listener does not acknowledge.

    Returns:
        Messages published, by topic.

    Raises:
        GdfusionError: a bag cannot be read or lacks a topic that was asked for; the message type of one that was asked
            for, or of all, is not installed; there is nothing to play; or nobody subscribed in time.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(bag_reader(bag)) for bag in bags]
        topics = select_topics(readers, playback.topics)
        for reader in readers:
            for remark in reader.not_read:
                on_skipped(f'not played: {remark}')
        if not playback.topics:
            for item in itertools.chain.from_iterable(reader.left_out for reader in readers):
                on_skipped(f'{item.count} messages on {item.topic} are not played: {item.type_name} is {item.reason}')
            topics = installed(topics, on_skipped)
        _require_messages(readers, playback.start, list(topics))
        if playback.clock:
            require_showable(readers)
        player = Player(stack.enter_context(ros_node('gdfusion_play')), topics)
        clock = Clock(player.node, playback.clock) if playback.clock else NoClock()
        if playback.wait:
            player.wait_for_subscribers(playback.wait)
        player.play(timeline(readers, playback, list(topics)), playback.rate, clock, on_message)
        if late := player.finish(_ACKNOWLEDGEMENTS):
            on_skipped(f'a listener has not acknowledged everything on {", ".join(late)} after {_ACKNOWLEDGEMENTS:g} s')
        _require_all(readers, playback, player)
    return player.published


class Player:
    """Publishes messages of bags.

    Attributes:
        node: That of the publishers.
        topics: By name.
        published: Messages so far, by topic.
    """

    def __init__(self, node: Node, topics: Mapping[str, Topic]) -> None:
        """Create the publishers.

        Raises:
            GdfusionError: a message type is not installed, or a topic's name is none to ROS.
        """
        for name in topics:
            require_topic_name(name)
        self.node = node
        self.published: Counter[str] = Counter()
        self.topics = topics
        self._publishers = {
            name: node.create_publisher(message_class(topic.type_name), name, bag_qos.recorded(topic))
            for name, topic in topics.items()
        }

    def wait_for_subscribers(self, seconds: float) -> None:
        """Wait until the occupancy node listens, then until its subscriptions surely see the publishers.

        It listens when of each kind of its inputs (images, calibration, transforms) a topic has a subscriber: the bag
        may have cameras that it does not use.

        Raises:
            GdfusionError: names the topics that nobody subscribed to in time.
        """
        deadline = time.monotonic() + seconds
        while lonely := self._lonely():
            if time.monotonic() > deadline:
                raise GdfusionError(
                    f'nobody subscribed to {", ".join(lonely)} within {seconds:g} s: is the node '
                    'active, and does ROS_DOMAIN_ID agree?'
                )
            time.sleep(0.02)
        subscribed = -1
        while (now := len(self._subscribed())) > subscribed:
            subscribed = now
            time.sleep(_SETTLE)

    def _subscribed(self) -> list[str]:
        return [name for name, publisher in self._publishers.items() if publisher.get_subscription_count()]

    def _lonely(self) -> list[str]:
        """The topics of every kind of input that nobody listens to at all."""
        heard = {_KINDS.get(self.topics[name].type_name) for name in self._subscribed()}
        return [
            name
            for name, topic in self.topics.items()
            if topic.type_name in _KINDS and _KINDS[topic.type_name] not in heard
        ]

    def play(
        self,
        events: Iterable[Event],
        rate: float,
        clock: Ticker,
        on_message: Callable[[str], object] = lambda _topic: None,
    ) -> None:
        """Publish each message when it is due, counted from now."""
        begin = time.monotonic()
        for due, message in events:
            _pause(begin + due, message.stamp, rate, clock)
            self._publishers[message.topic].publish(bytes(message.data))
            self.published[message.topic] += 1
            on_message(message.topic)

    def finish(self, seconds: float) -> list[str]:
        """Wait until reliable subscribers have everything; the topics on which they have not after ``seconds``.

        In short steps, between which Python sees to signals: a listener may hang.
        """
        deadline = time.monotonic() + seconds
        waiting = dict(self._publishers)
        while waiting and time.monotonic() < deadline:
            name, publisher = next(iter(waiting.items()))
            if publisher.wait_for_all_acked(Duration(seconds=_LOOK_UP)):
                del waiting[name]
        return list(waiting)


def _require_messages(readers: Sequence[BagReader], start: float, topics: Sequence[str]) -> None:
    """Make sure that there is something to play, for ever if need be.

    Raises:
        GdfusionError: a bag ends before ``start`` [s], or none has messages on ``topics``.
    """
    for reader in readers:
        if start * NANOSECONDS > reader.duration:
            raise GdfusionError(
                f'bag {reader.path} is {reader.duration / NANOSECONDS:g} s long: --start {start:g} is later'
            )
    if not any(reader.count(topics) for reader in readers):
        raise GdfusionError(f'{", ".join(str(reader.path) for reader in readers)}: no messages on {", ".join(topics)}')


def _require_all(readers: Sequence[BagReader], playback: Playback, player: Player) -> None:
    """Make sure that what the bags promise was published; with a later start nobody knows how much that is.

    Raises:
        GdfusionError: names the topics that had fewer messages.
    """
    if playback.start:
        return
    for topic in player.topics:
        promised = playback.loops * sum(reader.count([topic]) for reader in readers)
        if player.published[topic] < promised:
            raise GdfusionError(f'only {player.published[topic]} of {promised} messages on {topic} could be published')


def timeline(readers: Sequence[BagReader], playback: Playback, topics: Sequence[str]) -> Iterator[Event]:
    """The messages of all loops in the order and at the time that they are due.

    Between two bags, and between two loops, time goes on by the longest pause that the bag had between two messages
    (1 s at most), so that the rhythm of the sensors goes on as well.
    """
    begin = 0.0
    for _ in itertools.repeat(None) if playback.loops == 0 else range(playback.loops):
        for reader in readers:
            seam, last = 0.0, 0.0
            for elapsed, message in _from_start(reader, playback.start, topics):
                seam, last = max(seam, elapsed - last), elapsed
                yield Event((begin + elapsed) / playback.rate, message)
            begin += last + (min(seam, _LONGEST_SEAM) or _LONGEST_SEAM)


def _from_start(reader: BagReader, start: float, topics: Sequence[str]) -> Iterator[Event]:
    """The messages from ``start`` [s] on, after those on latched topics that were sent before and still hold."""
    origin = reader.start + round(start * NANOSECONDS)
    if start:
        latched = [name for name in topics if name in reader.topics and bag_qos.is_latched(reader.topics[name])]
        for message in reader.raw_messages(latched):
            if message.stamp < origin:
                yield Event(0.0, message)
    for message in reader.raw_messages(topics, origin):
        yield Event((message.stamp - origin) / NANOSECONDS, message)


def select_topics(readers: Sequence[BagReader], wanted: Sequence[str] = ()) -> dict[str, Topic]:
    """The topics to play, by name: those ``wanted``, or all.

    Raises:
        GdfusionError: a wanted topic is in none of the bags, or the bags disagree on the type of a topic.
    """
    topics: dict[str, Topic] = {}
    for topic in itertools.chain.from_iterable(reader.topics.values() for reader in readers):
        known = topics.setdefault(topic.name, topic)
        if known.type_name != topic.type_name:
            raise GdfusionError(
                f'the bags disagree on the type of {topic.name}: {known.type_name}, '
                f'{topic.type_name}; play them one at a time'
            )
    unknown = [name for name in wanted if name not in topics]
    if unknown:
        raise GdfusionError(
            f'no topic {", ".join(unknown)} in {", ".join(str(reader.path) for reader in readers)}; '
            f'there are {", ".join(topics)}'
        )
    return {name: topics[name] for name in wanted or topics}


def installed(topics: Mapping[str, Topic], on_skipped: Callable[[str], object]) -> dict[str, Topic]:
    """The topics whose message types are installed; ``on_skipped`` gets a line for each of the others.

    Raises:
        GdfusionError: there is none.
    """
    playable, failure = {}, GdfusionError('the bags have no topics')
    for name, topic in topics.items():
        try:
            message_class(topic.type_name)
        except GdfusionError as error:
            failure = error
            on_skipped(f'{name} is not played: {error}')
        else:
            playable[name] = topic
    if not playable:
        raise failure
    return playable


def _pause(until: float, stamp: int, rate: float, clock: Ticker) -> None:
    """Sleep until the monotonic time ``until``, when it is ``stamp`` in the bag, while /clock goes on."""
    while (left := until - time.monotonic()) > 0:
        clock.show(stamp - int(left * rate * NANOSECONDS))
        time.sleep(min(left, clock.period, _LONGEST_SLEEP))
    clock.show(stamp)
