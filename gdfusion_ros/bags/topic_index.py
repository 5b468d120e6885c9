"""Messages by their header stamp, read when they are wanted: only their stamps are kept in memory."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.perception.types import NANOSECONDS


class _Place(NamedTuple):
    """Where a message is: the bag and the record time [ns]."""

    bag: BagReader
    recorded: int


class TopicIndex:
    """The messages of one topic, in the order of the recording, from one or several bags.

    Attributes:
        topic: Its name.
        type_name: Its message type.
        stamps: (n,) header stamps [ns].
    """

    def __init__(self, topic: str, type_name: str, stamps: Iterable[int], places: Iterable[_Place]) -> None:
        """Made by ``topic_indexes``."""
        self.topic = topic
        self.type_name = type_name
        self.stamps: NDArray[np.int64] = np.fromiter(stamps, np.int64)
        self._places = list(places)

    def __len__(self) -> int:
        return len(self._places)

    def nearest(self, stamp: int, within: float = np.inf) -> int | None:
        """Number of the message whose stamp is nearest to ``stamp``; None if that is more than ``within`` [ns] away."""
        offsets = np.abs(self.stamps - stamp)
        index = int(offsets.argmin())
        return index if offsets[index] <= within else None

    def message(self, index: int) -> Message:
        """The message at ``index``.

        Raises:
            GdfusionError: it is damaged.
        """
        bag, recorded = self._places[index]
        for item in bag.messages([self.topic], recorded):
            if stamp_of(item.message.header.stamp) == self.stamps[index]:
                return item.message
        raise GdfusionError(f'bag {bag.path} has changed while it was read')


def topic_indexes(bags: Iterable[BagReader], type_names: Collection[str]) -> dict[str, TopicIndex]:
    """By name, the topics of ``bags`` that have messages and one of ``type_names``, all of which begin with a header.

    Raises:
        GdfusionError: a bag is damaged.
    """
    found: dict[str, tuple[str, list[int], list[_Place]]] = {}
    for bag in bags:
        topics = [topic.name for topic in bag.topics.values() if topic.type_name in type_names]
        for topic, type_name, recorded, data in bag.raw_messages(topics):
            _, stamps, places = found.setdefault(topic, (type_name, [], []))
            stamps.append(_header_stamp(data, topic))
            places.append(_Place(bag, recorded))
    return {topic: TopicIndex(topic, *content) for topic, content in found.items()}


def _header_stamp(data: bytes, topic: str) -> int:
    """The stamp [ns] in the header that a CDR message begins with: byte order in byte 1, then seconds, nanoseconds."""
    try:
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    except (IndexError, struct.error) as error:
        raise GdfusionError(f'{topic}: a message of {len(data)} bytes has no header') from error
    return int(seconds) * NANOSECONDS + int(nanoseconds)
