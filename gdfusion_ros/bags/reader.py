"""Bags as they are read: topics, raw messages, decoded messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its message type, how many messages it has, the QoS that its publishers offered."""

    name: str
    type_name: str
    count: int
    qos: tuple[Qos, ...]


class RawMessage(NamedTuple):
    """A message as CDR bytes, with its record time [ns]."""

    topic: str
    type_name: str
    stamp: int
    data: bytes


class DecodedMessage(NamedTuple):
    """A message as an object (see messages/decode.py), with its record time [ns]."""

    topic: str
    stamp: int
    message: Message


class BagReader:
    """An open bag; made by ``bag_reader``.

    Attributes:
        path: The bag's folder or file.
        topics: By name, in alphabetical order.
        message_count: Messages on all topics.
        start: Record time of the first message [ns]; 0 in an empty bag.
        duration: From the first to the last message [ns].
        custom_data: What the bag's metadata says beside the standard fields.
    """

    def __init__(self, path: Path, reader: Reader) -> None:
        """Take over an open ``reader`` of the bag at ``path``."""
        self._reader = reader
        self.path = path
        self.topics = _topics(reader.connections)
        self.message_count = reader.message_count
        self.start = reader.start_time if self.message_count else 0
        self.duration = reader.end_time - 1 - self.start if self.message_count else 0
        self.custom_data: Mapping[str, str] = reader.storage.metadata.custom or {}

    def require(self, wanted: Mapping[str, str]) -> None:
        """Make sure that the topics ``wanted`` (name -> message type) are there and have messages.

        Raises:
            GdfusionError: names what is missing and lists what is there.
        """
        missing = [f'{name} ({type_name})' for name, type_name in wanted.items()
                   if name not in self.topics or not self.topics[name].count
                   or self.topics[name].type_name != type_name]
        if missing:
            there = ', '.join(f'{topic.name} ({topic.type_name}, {topic.count})' for topic in self.topics.values())
            raise GdfusionError(f'bag {self.path} has no messages on {", ".join(missing)}; it has {there or "nothing"}')

    def count(self, topics: Sequence[str]) -> int:
        """Number of messages on ``topics``."""
        return sum(topic.count for topic in self.topics.values() if topic.name in topics)

    def raw_messages(self, topics: Sequence[str] | None = None, start: int | None = None) -> Iterator[RawMessage]:
        """The messages on ``topics`` (None: on all) from record time ``start`` [ns] on, in time order, as CDR bytes.

        Raises:
            GdfusionError: the file is damaged.
        """
        chosen = [item for item in self._reader.connections if topics is None or item.topic in topics]
        if not chosen:
            return
        with _explained(self.path):
            for connection, stamp, data in self._reader.messages(chosen, start):
                yield RawMessage(connection.topic, connection.msgtype, stamp, data)

    def messages(self, topics: Sequence[str], start: int | None = None) -> Iterator[DecodedMessage]:
        """The messages on ``topics`` from record time ``start`` [ns] on, in time order.

        Raises:
            GdfusionError: the file is damaged, or a message is.
        """
        for topic, type_name, stamp, data in self.raw_messages(topics, start):
            with _explained(self.path):
                message = typestore().deserialize_cdr(data, type_name)
            yield DecodedMessage(topic, stamp, message)


@contextmanager
def bag_reader(path: Path) -> Iterator[BagReader]:
    """The bag at ``path``: a folder with metadata.yaml, or a single .mcap or .db3 file.

    Raises:
        GdfusionError: nothing is there, or it cannot be read.
    """
    if not path.exists():
        raise GdfusionError(f'no bag {path}')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        raise GdfusionError(f"{path} is no bag: it has no metadata.yaml; 'ros2 bag reindex' makes one for a recording "
                            'that was cut off')
    with _explained(path):
        reader = Reader(path)
        reader.open()
    try:
        with _explained(path):
            bag = BagReader(path, reader)
        yield bag
    finally:
        reader.close()


def _topics(connections: Sequence[Connection]) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    for item in sorted(connections, key=lambda connection: connection.topic):
        assert isinstance(item.ext, ConnectionExtRosbag2)
        known = topics.get(item.topic, Topic(item.topic, item.msgtype, 0, ()))
        topics[item.topic] = Topic(item.topic, known.type_name, known.count + item.msgcount,
                                   known.qos + tuple(item.ext.offered_qos_profiles))
    return topics


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever the parsers make of damaged bytes (they raise a dozen types) as one clear line."""
    try:
        yield
    except GdfusionError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
        raise GdfusionError(f"bag {path} cannot be read: {reason}; if the recording was cut off, 'ros2 bag reindex' or "
                            "'mcap recover' may save it") from error
