"""What every kind of storage file gives: channels, and their messages in time order."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import zstandard
from rosbags.interfaces import Qos
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

if TYPE_CHECKING:
    from rosbags.rosbag2.metadata import QosDict

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
"""First bytes of what zstd has compressed; CDR begins with a zero byte."""

MOST_UNPACKED = 1 << 30
"""Bytes of a message or a chunk when it is unpacked: what is larger would fill the memory, and is no sensor's."""

_STEP = 1 << 10  # bytes of a message of unknown size that are unpacked at once: 32 MB at most
_DDS_NAME = re.compile(r'^(.*)/dds_/(.*)_$')


class RawMessage(NamedTuple):
    """A message as CDR bytes, with its record time [ns]."""

    topic: str
    type_name: str
    stamp: int
    data: bytes


@dataclass(frozen=True)
class Channel:
    """A topic in one file.

    Attributes:
        topic: Its name.
        type_name: Its message type, as package/msg/Type.
        qos: What its publishers offered.
        promised: Messages that the file says it has.
        held: Messages that are there, as far as its index or a look through it tells.
        foreign: Why its messages are none of ROS 2, e.g. their encoding; empty where they are.
    """

    topic: str
    type_name: str
    qos: tuple[Qos, ...]
    promised: int
    held: int
    foreign: str = ''

    @classmethod
    def lost(cls, number: int, count: int) -> Channel:
        """``count`` messages of a channel ``number`` that the file does not describe."""
        return cls(f'(number {number})', '', (), count, count, 'a topic that its file does not name')


class StorageFile(Protocol):
    """An open file of a bag."""

    @property
    def about(self) -> str:
        """What rosbag2 keeps in the file of the whole bag: the content of metadata.yaml; empty where there is none."""

    @property
    def channels(self) -> Collection[Channel]:
        """All, foreign ones too."""

    @property
    def span(self) -> tuple[int, int] | None:
        """Record times of the first and the last message [ns]; None in a file without messages."""

    def messages(self, topics: Collection[str], start: int) -> Iterator[RawMessage]:
        """The ROS 2 messages on ``topics`` from record time ``start`` [ns] on, in time order."""

    def close(self) -> None:
        """Close the file."""


class Part(NamedTuple):
    """A sequence of messages in time order: when it begins [ns], and how to begin with it."""

    start: int
    open: Callable[[], Iterator[RawMessage]]


def in_time_order(parts: Iterable[Part]) -> Iterator[RawMessage]:
    """The messages of all parts by record time, at the same time those of the earlier part first.

    A part is opened when its time has come, so that only parts that overlap are in memory together.
    """
    running: list[tuple[int, int, RawMessage, Iterator[RawMessage]]] = []

    def take() -> RawMessage:
        _, number, message, rest = running[0]
        following = next(rest, None)
        if following is None:
            heapq.heappop(running)
        else:
            heapq.heapreplace(running, (following.stamp, number, following, rest))
        return message

    for number, part in enumerate(sorted(parts, key=lambda part: part.start)):
        while running and running[0][0] < part.start:
            yield take()
        messages = part.open()
        if (first := next(messages, None)) is not None:
            heapq.heappush(running, (first.stamp, number, first, messages))
    while running:
        yield take()


def unpacked(data: bytes) -> bytes:
    """The CDR bytes of a message, which rosbag2 may have compressed.

    Raises:
        Exception: they cannot be unpacked, or are more than MOST_UNPACKED.
    """
    if not data.startswith(ZSTD_MAGIC):
        return data
    size = zstandard.frame_content_size(data)
    require_size(size, 'a message')
    unpacking = zstandard.ZstdDecompressor().decompressobj()
    step = _STEP if size < 0 else len(data)
    content = b''
    for start in range(0, len(data), step):
        content += unpacking.decompress(data[start : start + step])
        require_size(len(content), 'a message')
        if unpacking.eof:
            return content
    raise ValueError('the end of a compressed message is missing')


def require_size(size: int, what: str) -> None:
    """Make sure that something of ``size`` bytes when it is unpacked can be read.

    Raises:
        ValueError: it is more than MOST_UNPACKED.
    """
    if size > MOST_UNPACKED:
        raise ValueError(f'{what} of {size >> 20} MB when unpacked is larger than {MOST_UNPACKED >> 20} MB')


def full_type_name(name: str) -> str:
    """``package/msg/Type`` for ``package/Type``, ``package::msg::Type`` and DDS' ``package::msg::dds_::Type_``."""
    name = _DDS_NAME.sub(r'\1/\2', name.replace('::', '/'))
    package, separator, rest = name.partition('/')
    return f'{package}/msg/{rest}' if separator and '/' not in rest else name


def offered_qos(recorded: str | list[QosDict]) -> tuple[Qos, ...]:
    """QoS as recorded with a topic; nothing where nobody can tell what was meant."""
    try:
        return tuple({qos: None for qos in parse_qos(recorded) if isinstance(qos.depth, int)})
    except (ReaderError, AttributeError, LookupError, RecursionError, TypeError, ValueError):  # hand-made text
        return ()
