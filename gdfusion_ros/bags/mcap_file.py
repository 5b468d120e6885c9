"""MCAP files of every writer: indexed or not, in chunks or not, with channels of others in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import SEEK_END
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import IO

import zstandard
from mcap import records
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.stream_reader import MAGIC_SIZE, StreamReader, breakup_chunk
from mcap.summary import Summary

from gdfusion_ros.bags.storage import (
    Channel,
    Part,
    RawMessage,
    full_type_name,
    in_time_order,
    offered_qos,
    require_size,
    unpacked,
)
from gdfusion_ros.errors import GdfusionError

_COMPRESSIONS = ('', 'lz4', 'zstd')
_SCHEMAS = ('ros2msg', 'ros2idl', 'omgidl', '')  # '': rosbag2 did not find the definition
_HEAD = Struct('<BQ')  # of every record: what it is, and its length behind the head
_EMPTY_INDEX, _INDEX_ENTRY = 15, 16  # bytes of a message index record and of each message in it


@dataclass(frozen=True)
class _Piece:
    """A chunk, or a message outside of chunks: first and last record time [ns], place, channels that may be in it."""

    start: int
    end: int
    offset: int
    channels: Collection[int]


@dataclass
class _Index:
    """What is where in the file."""

    schemas: dict[int, records.Schema] = field(default_factory=dict)
    channels: dict[int, records.Channel] = field(default_factory=dict)
    pieces: list[_Piece] = field(default_factory=list)
    held: Counter[int] = field(default_factory=Counter)
    promised: Counter[int] = field(default_factory=Counter)
    about: str = ''


class McapFile:
    """An open MCAP file.

    Attributes:
        about: What is kept of the whole bag.
        channels: All, foreign ones too.
        span: Record times of the first and the last message [ns]; None without messages.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, which begins and ends as MCAP does.

        Raises:
            GdfusionError: its chunks are compressed in an unknown way.
            Exception: the parsers', where the file is damaged.
        """
        self._stream = path.open('rb')
        try:
            summary = SeekingReader(self._stream).get_summary()
            if summary:
                _require_end(self._stream)
            self._index = (
                _indexed(self._stream, summary)
                if summary and _is_complete(summary) and _covers(self._stream, summary)
                else _scanned(self._stream)
            )
        except BaseException:
            self._stream.close()
            raise
        self.about = self._index.about
        self._known = {number: self._channel(number) for number in {*self._index.channels, *self._index.promised}}
        self.channels = self._known.values()
        pieces = self._index.pieces
        self.span = (min(p.start for p in pieces), max(p.end for p in pieces)) if pieces else None

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def messages(self, topics: Collection[str], start: int) -> Iterator[RawMessage]:
        """See StorageFile."""
        wanted = {
            number: channel
            for number, channel in self._known.items()
            if channel.topic in topics and not channel.foreign
        }
        return in_time_order(
            Part(piece.start, partial(self._messages_of, piece, wanted, start))
            for piece in self._index.pieces
            if piece.end >= start and not wanted.keys().isdisjoint(piece.channels)
        )

    def _messages_of(self, piece: _Piece, wanted: dict[int, Channel], start: int) -> Iterator[RawMessage]:
        self._stream.seek(piece.offset)
        found = [
            record
            for record in _messages(_record(self._stream))
            if record.channel_id in wanted and record.log_time >= start
        ]
        for record in sorted(found, key=attrgetter('log_time')):
            channel = wanted[record.channel_id]
            yield RawMessage(channel.topic, channel.type_name, record.log_time, unpacked(record.data))

    def _channel(self, number: int) -> Channel:
        promised, held = self._index.promised, self._index.held
        if number not in self._index.channels:
            return Channel.lost(number, promised[number])
        channel = self._index.channels[number]
        schema = self._index.schemas.get(channel.schema_id)
        if channel.message_encoding != 'cdr':
            foreign = channel.message_encoding or 'no encoding'
        elif schema is None:
            foreign = 'no schema'
        else:
            foreign = '' if schema.encoding in _SCHEMAS else schema.encoding
        return Channel(
            channel.topic,
            full_type_name(schema.name) if schema and not foreign else schema.name if schema else '',
            offered_qos(channel.metadata.get('offered_qos_profiles', '')),
            promised[number],
            held[number],
            foreign,
        )


def _require_end(stream: IO[bytes]) -> None:
    """Make sure that the footer that was read is the last one.

    Raises:
        GdfusionError: files were put one behind the other, so that only one would be read.
    """
    place = stream.tell()
    if stream.seek(0, SEEK_END) - place > MAGIC_SIZE:
        raise GdfusionError(
            "it goes on behind its end: files that were joined by 'cat' are no MCAP file; 'mcap merge' joins them"
        )


def _is_complete(summary: Summary) -> bool:
    """Whether every message that was counted is in a chunk, and in its index, and every channel and schema is known.

    If so the file need not be looked through. Writers may leave out all of that.
    """
    if summary.statistics is None:
        return False
    found = sum(
        (chunk.message_index_length - _EMPTY_INDEX * len(chunk.message_index_offsets)) // _INDEX_ENTRY
        for chunk in summary.chunk_indexes
    )
    used = set(summary.statistics.channel_message_counts).union(
        *(chunk.message_index_offsets for chunk in summary.chunk_indexes)
    )
    return (
        found == summary.statistics.message_count == sum(summary.statistics.channel_message_counts.values())
        and used <= summary.channels.keys()
        and all(channel.schema_id in (0, *summary.schemas) for channel in summary.channels.values())
    )


def _covers(stream: IO[bytes], summary: Summary) -> bool:
    """Whether the chunk index leads to every chunk, each once, and no message lies outside of them.

    What the statistics leave out in the same way as the index is found so, by the heads of the records in between.
    """
    indexed = {chunk.chunk_start_offset: chunk for chunk in summary.chunk_indexes}
    if len(indexed) < len(summary.chunk_indexes):
        return False
    stream.seek(place := MAGIC_SIZE)
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        opcode, length = _HEAD.unpack(head)
        chunk = indexed.pop(place, None)
        if opcode == Opcode.DATA_END:
            return not indexed
        if opcode == Opcode.MESSAGE or (opcode == Opcode.CHUNK) != (chunk is not None):
            return False
        place += chunk.chunk_length + chunk.message_index_length if chunk else _HEAD.size + length
        stream.seek(place)
    return False


def _indexed(stream: IO[bytes], summary: Summary) -> _Index:
    """The index that the writer has left."""
    assert summary.statistics is not None
    counts = Counter(summary.statistics.channel_message_counts)
    pieces = [
        _Piece(
            chunk.message_start_time,
            chunk.message_end_time,
            chunk.chunk_start_offset,
            chunk.message_index_offsets.keys(),
        )
        for chunk in summary.chunk_indexes
        if chunk.message_index_offsets
    ]
    index = _Index(summary.schemas, summary.channels, pieces, counts, counts)
    for entry in summary.metadata_indexes:
        stream.seek(entry.offset)
        index.about = _about(_record(stream)) or index.about
    return index


def _scanned(stream: IO[bytes]) -> _Index:
    """An index made by looking through the whole file."""
    index = _Index()
    stream.seek(0)
    reader = StreamReader(stream, emit_chunks=True)
    offset = stream.tell()
    for record in reader.records:
        if isinstance(record, records.Statistics):
            index.promised.update(record.channel_message_counts)
        index.about = _about(record) or index.about
        for inner in _contents(record):
            if isinstance(inner, records.Schema):
                index.schemas[inner.id] = inner
            elif isinstance(inner, records.Channel):
                index.channels[inner.id] = inner
        if messages := _messages(record):
            times = [message.log_time for message in messages]
            numbers = Counter(message.channel_id for message in messages)
            index.pieces.append(_Piece(min(times), max(times), offset, numbers.keys()))
            index.held += numbers
        offset = stream.tell()
    _require_end(stream)
    index.promised |= index.held
    return index


def _record(stream: IO[bytes]) -> records.McapRecord:
    """The record at the stream's place."""
    return next(StreamReader(stream, skip_magic=True, emit_chunks=True).records)


def _about(record: records.McapRecord) -> str:
    """What rosbag2 keeps of the whole bag, if that is the record; it writes one at the start and one at the end."""
    if not isinstance(record, records.Metadata) or record.name != 'rosbag2':
        return ''
    return record.metadata.get('serialized_metadata', '')


def _contents(record: records.McapRecord) -> list[records.McapRecord]:
    """A record itself, or those in a chunk, whose checksum is compared."""
    if not isinstance(record, records.Chunk):
        return [record]
    if record.compression not in _COMPRESSIONS:
        raise GdfusionError(
            f"its chunks are compressed with '{record.compression}', which MCAP does not know; "
            "'mcap compress' of the tool that wrote it can choose zstd"
        )
    require_size(record.uncompressed_size, 'a chunk')
    if record.compression == 'zstd':  # whose own word goes before the record's
        require_size(zstandard.frame_content_size(record.data), 'a chunk')
    return breakup_chunk(record, validate_crc=True)


def _messages(record: records.McapRecord) -> list[records.Message]:
    return [inner for inner in _contents(record) if isinstance(inner, records.Message)]
