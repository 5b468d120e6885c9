"""Bags as they are read: topics, raw messages, decoded messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rosbags.interfaces import Qos

from gdfusion_ros.bags.formats import open_file
from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.metadata import METADATA, Metadata, custom_data_in, read_metadata
from gdfusion_ros.bags.storage import Channel, Part, RawMessage, StorageFile, in_time_order
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message

__all__ = ['BagReader', 'DecodedMessage', 'LeftOut', 'RawMessage', 'Topic', 'bag_reader']

_CDR_HEADER = 4  # bytes: 0, the encoding and byte order, two that say nothing
_CDR = (0, 1)
"""Second byte of what ROS 2 writes, plain CDR of version 1, big-endian or little-endian."""

_EVER = -(1 << 63)
"""No record time is earlier: the first one of a file's index need not be right."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its message type, how many messages it has, the QoS that its publishers offered."""

    name: str
    type_name: str
    count: int
    qos: tuple[Qos, ...]


@dataclass(frozen=True)
class LeftOut:
    """Messages that are none of ROS 2, or of a second type on one topic, and why they are not read."""

    topic: str
    type_name: str
    count: int
    reason: str


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
        left_out: What else is in the bag.
        message_count: Messages on all topics.
        start: Record time of the first message [ns]; 0 in an empty bag.
        duration: From the first to the last message [ns].
        custom_data: What the bag's metadata says beside the standard fields.
        not_read: What seems to belong to the recording but is not read, in words: files that the bag's metadata does
            not list, or whose number is missing.
    """

    def __init__(self, path: Path, metadata: Metadata, files: Sequence[StorageFile]) -> None:
        """Take over the open ``files`` of the bag at ``path``."""
        self.path = path
        self._files = files
        self.topics, self.left_out = _sorted_out(metadata, [channel for file in files for channel in file.channels])
        self._held: Counter[str] = Counter()
        for channel in (channel for file in files for channel in file.channels):
            if self._is_read(channel.topic, channel.type_name) and not channel.foreign:
                self._held[channel.topic] += channel.held
        self.message_count = sum(topic.count for topic in self.topics.values())
        spans = [file.span for file in files if file.span]
        self.start = min((start for start, _ in spans), default=0)
        self.duration = max((end for _, end in spans), default=0) - self.start
        self.custom_data: Mapping[str, str] = metadata.custom_data
        self.not_read: Sequence[str] = metadata.not_read

    def require(self, wanted: Mapping[str, str], remedy: str = '') -> None:
        """Make sure that the topics ``wanted`` (name -> message type) are there and have messages.

        ``remedy`` says how to come by them, ahead of the long list of what is there.

        Raises:
            GdfusionError: names what is missing and lists what is there, what has a missing type before the rest.
        """
        missing = [
            f'{name} ({type_name})'
            for name, type_name in wanted.items()
            if name not in self.topics or not self.topics[name].count or self.topics[name].type_name != type_name
        ]
        if missing:
            types = {type_name for name, type_name in wanted.items() if name not in self.topics}
            likely = sorted(
                self.topics.values(), key=lambda topic: (topic.name in wanted, topic.type_name not in types)
            )
            there = ', '.join(f'{topic.name} ({topic.type_name}, {topic.count})' for topic in likely)
            others = ', '.join(f'{item.topic} ({item.reason})' for item in self.left_out)
            raise GdfusionError(
                (f'{remedy}: ' if remedy else '')
                + f'bag {self.path} has no messages on {", ".join(missing)}; it has {there or "nothing"}'
                + (f'; left out: {others}' if others else '')
            )

    @property
    def missing(self) -> dict[str, int]:
        """Messages that the bag says it has, but which are not in its files, by topic, as far as their index tells."""
        lacks = {name: topic.count - self._held[name] for name, topic in self.topics.items()}
        return {name: count for name, count in lacks.items() if count > 0}

    def count(self, topics: Sequence[str]) -> int:
        """Number of messages on ``topics``."""
        return sum(topic.count for topic in self.topics.values() if topic.name in topics)

    def raw_messages(self, topics: Sequence[str] | None = None, start: int | None = None) -> Iterator[RawMessage]:
        """The messages on ``topics`` (None: on all) from record time ``start`` [ns] on, in time order, as CDR bytes.

        Raises:
            GdfusionError: the file is damaged, or has fewer messages on a topic than the bag says.
        """
        chosen = [name for name in self.topics if topics is None or name in topics]
        self._require_promised(chosen, self._held)
        got: Counter[str] = Counter()
        with _explained(self.path):
            begin = _EVER if start is None else start
            for message in in_time_order(
                Part(file.span[0], partial(file.messages, chosen, begin))
                for file in self._files
                if file.span and file.span[1] >= begin
            ):
                if self._is_read(message.topic, message.type_name):
                    _require_cdr(message)
                    got[message.topic] += 1
                    yield message
        if start is None or start <= self.start:
            self._require_promised(chosen, got)

    def messages(self, topics: Sequence[str], start: int | None = None) -> Iterator[DecodedMessage]:
        """The messages on ``topics`` from record time ``start`` [ns] on, in time order.

        Raises:
            GdfusionError: as for ``raw_messages``, or a message is damaged.
        """
        for topic, type_name, stamp, data in self.raw_messages(topics, start):
            with _explained(self.path, f'a message on {topic} is no {type_name}: '):
                message = typestore().deserialize_cdr(data, type_name)
            yield DecodedMessage(topic, stamp, message)

    def _is_read(self, topic: str, type_name: str) -> bool:
        return topic in self.topics and self.topics[topic].type_name == type_name

    def _require_promised(self, topics: Sequence[str], got: Mapping[str, int]) -> None:
        for name in topics:
            if (count := got.get(name, 0)) < self.topics[name].count:
                raise GdfusionError(
                    f'bag {self.path} says that it has {self.topics[name].count} messages on {name} '
                    f"({self.topics[name].type_name}), but there are {count}: copy what is missing again, or let 'ros2 "
                    f"bag reindex' ({METADATA}) or 'mcap recover' (a file) count what is there"
                )


@contextmanager
def bag_reader(path: Path) -> Iterator[BagReader]:
    """The bag at ``path``: a folder with metadata.yaml or with the files of one recording, or a single file.

    Raises:
        GdfusionError: nothing is there, it cannot be read, or it has no messages of ROS 2.
    """
    metadata = read_metadata(path)
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(TemporaryDirectory(prefix='gdfusion-')))
        files = []
        for number, name in enumerate(metadata.files):
            with _explained(name):
                (folder := temporary / str(number)).mkdir()
                files.append(open_file(name, folder))
                stack.callback(files[-1].close)
                metadata.custom_data = metadata.custom_data or custom_data_in(files[-1].about)
        bag = BagReader(path, metadata, files)
        if bag.left_out and not bag.topics:
            raise GdfusionError(
                f'bag {path} cannot be read: it has no messages of ROS 2 (cdr), but '
                + ', '.join(f'{item.topic} ({item.reason})' for item in bag.left_out[:5])
                + '; convert it, or record it as a ROS 2 bag'
            )
        yield bag


def _sorted_out(metadata: Metadata, channels: Sequence[Channel]) -> tuple[dict[str, Topic], list[LeftOut]]:
    """The topics of a bag, each with the type that has most messages, and what is left out.

    A topic has as many messages as its files say together, or as many as the metadata says, if that is more. What type
    they are the files know best.
    """
    counts: Counter[tuple[str, str]] = Counter()
    foreign: Counter[tuple[str, str, str]] = Counter()
    offered: defaultdict[str, list[Qos]] = defaultdict(list)
    for channel in channels:
        if channel.foreign:
            foreign[channel.topic, channel.type_name, channel.foreign] += channel.promised
        else:
            counts[channel.topic, channel.type_name] += channel.promised
            offered[channel.topic].extend(channel.qos)
    left_out = [LeftOut(topic, name, count, reason) for (topic, name, reason), count in foreign.items()]
    for name, (type_name, promised) in metadata.promised.items():
        known = {key: count for key, count in counts.items() if key[0] == name}
        if known or all(item.topic != name for item in left_out):
            key = max(known, key=known.__getitem__, default=(name, type_name))
            counts[key] += max(promised - sum(known.values()), 0)
    topics: dict[str, Topic] = {}
    for (name, type_name), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        if name in topics:
            left_out.append(LeftOut(name, type_name, count, f'another type than {topics[name].type_name}'))
        else:
            topics[name] = Topic(name, type_name, count, tuple(dict.fromkeys(metadata.qos.get(name) or offered[name])))
    return topics, left_out


def _require_cdr(message: RawMessage) -> None:
    """Make sure that a message is what ROS 2 writes.

    Raises:
        GdfusionError: it is encoded in another way of DDS.
        ValueError: it is damaged.
    """
    if len(message.data) < _CDR_HEADER or message.data[0]:
        raise ValueError(f'a message on {message.topic} is not encoded as CDR')
    if message.data[1] not in _CDR:
        raise GdfusionError(
            f'a message on {message.topic} is encoded as 0x{message.data[1]:04x} of DDS (XCDR2, or parameter lists), '
            'not as plain CDR; record it from nodes of ROS 2'
        )


@contextmanager
def _explained(path: Path, what: str = '') -> Iterator[None]:
    """Whatever the parsers make of damaged bytes (they raise a dozen types) as one clear line about ``path``."""
    try:
        yield
    except GdfusionError as error:
        raise GdfusionError(f'bag {path} cannot be read: {error}') from error
    except OSError as error:
        raise GdfusionError(f'bag {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:
        reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
        raise GdfusionError(
            f'bag {path} cannot be read: {what}{reason[:300]}; it is damaged: copy it again from where it was recorded'
        ) from error
