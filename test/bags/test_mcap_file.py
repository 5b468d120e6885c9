"""MCAP files of other writers give every message, in time order."""

from __future__ import annotations

from collections.abc import Callable
from io import SEEK_END
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.reader import SeekingReader
from mcap.records import Footer, McapRecord
from mcap.summary import Summary
from mcap.writer import CompressionType, IndexType, Writer

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'
QOS = """[{history: 1, depth: 5, reliability: 1, durability: 2,
deadline: {sec: 0, nsec: 0}, lifespan: {sec: 0, nsec: 0}, liveliness: 1,
liveliness_lease_duration: {sec: 0, nsec: 0}, avoid_ros_namespace_conventions: false}]"""

VARIANTS: dict[str, dict[str, Any]] = {
    'as the library writes': {},
    'with QoS': {'qos': QOS},
    'with QoS that is no QoS': {'qos': 'hello: ['},
    'no profile': {'profile': ''},
    'lz4': {'compression': CompressionType.LZ4},
    'not compressed': {'compression': CompressionType.NONE},
    'short type name': {'type_name': 'std_msgs/String'},
    'type name of C++': {'type_name': 'std_msgs::msg::String'},
    'type name of DDS': {'type_name': 'std_msgs::msg::dds_::String_', 'schema': 'omgidl'},
    'definition not found': {'schema': ''},
    'no index': {
        'index_types': IndexType.NONE,
        'use_statistics': False,
        'repeat_channels': False,
        'repeat_schemas': False,
        'use_summary_offsets': False,
    },
    'channels not repeated': {'repeat_channels': False, 'repeat_schemas': False},
    'schemas not repeated': {'repeat_schemas': False},
    'no statistics': {'use_statistics': False},
    'chunks, but no messages, are indexed': {'index_types': IndexType.CHUNK},
    'messages, but no chunks, are indexed': {'index_types': IndexType.MESSAGE},
    'no chunks': {'use_chunking': False},
    'no chunks, out of order': {'use_chunking': False, 'stamps': (101, 100, 102)},
    'many chunks, out of order': {'chunk_size': 1, 'stamps': (101, 102, 100)},
    'one chunk, out of order': {'stamps': (102, 100, 101)},
    'protobuf too': {'foreign': ('protobuf',)},
    'json too, no index': {'foreign': ('json', 'protobuf'), 'index_types': IndexType.NONE},
    'packed messages': {'pack': zstandard.ZstdCompressor().compress},
    'packed messages of unknown length': {'pack': zstandard.ZstdCompressor(write_content_size=False).compress},
}


@pytest.mark.parametrize('options', VARIANTS.values(), ids=VARIANTS.keys())
def test_every_message_comes(tmp_path: Path, write_mcap: Callable[..., Path], options: dict[str, Any]) -> None:
    with bag_reader(write_mcap(tmp_path / 'a.mcap', **options)) as bag:
        assert {(topic.name, topic.type_name, topic.count) for topic in bag.topics.values()} == {
            ('/other', STRING, 3),
            ('/text', STRING, 3),
        }
        assert [m.stamp for m in bag.raw_messages()] == [100, 100, 101, 101, 102, 102]
        assert [(m.stamp, m.message.data) for m in bag.messages(['/text'])] == [(100, 'x'), (101, 'x'), (102, 'x')]
        assert [m.stamp for m in bag.raw_messages(['/other'], start=101)] == [101, 102]
        assert (bag.start, bag.duration, bag.message_count) == (100, 2, 6)
        assert len(bag.topics['/text'].qos) == (options.get('qos') == QOS)
        assert [(item.topic, item.reason, item.count) for item in bag.left_out] == [
            (f'/{name}', name, 1) for name in options.get('foreign', ())
        ]


def test_messages_outside_of_chunks_come_at_their_time(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    with bag_reader(write_mcap(tmp_path / 'a.mcap', use_statistics=False, loose=(101, 99, 200))) as bag:
        assert [m.stamp for m in bag.raw_messages(['/text'])] == [99, 100, 101, 101, 102, 200]
        assert (bag.topics['/text'].count, bag.start, bag.duration) == (6, 99, 101)


def test_a_file_of_others_only_is_refused(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    path = write_mcap(tmp_path / 'a.mcap', profile='ros1', encoding='ros1', schema='ros1msg')
    with (
        pytest.raises(GdfusionError, match=r'no messages of ROS 2 \(cdr\), but /other \(ros1\)|/text \(ros1\)'),
        bag_reader(path),
    ):
        pass


def test_a_missing_topic_that_was_left_out_is_explained(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    with (
        bag_reader(write_mcap(tmp_path / 'a.mcap', foreign=['json'])) as bag,
        pytest.raises(GdfusionError, match=r'no messages on /json .*left out: /json \(json\)'),
    ):
        bag.require({'/json': STRING})


def test_an_unknown_compression_is_refused(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    path = write_mcap(tmp_path / 'a.mcap', index_types=IndexType.NONE)
    path.write_bytes(path.read_bytes().replace(b'\4\0\0\0zstd', b'\4\0\0\0zlib'))
    with pytest.raises(GdfusionError, match="compressed with 'zlib'"), bag_reader(path):
        pass


def test_one_topic_in_two_channels_is_one_topic(tmp_path: Path) -> None:
    with (tmp_path / 'a.mcap').open('wb') as stream:
        writer = Writer(stream)
        writer.start(profile='ros2')
        schema = writer.register_schema(STRING, 'ros2msg', b'string data')
        for stamp, qos in ((100, QOS), (101, QOS.replace('depth: 5', 'depth: 1'))):
            writer.add_message(
                writer.register_channel('/text', 'cdr', schema, {'offered_qos_profiles': qos}),
                stamp,
                b'\0\1\0\0\1\0\0\0\0',
                stamp,
            )
        writer.finish()
    with bag_reader(tmp_path / 'a.mcap') as bag:
        assert [m.stamp for m in bag.raw_messages(['/text'])] == [100, 101]
        assert [qos.depth for qos in bag.topics['/text'].qos] == [5, 1]


def test_statistics_that_promise_more_than_there_is_are_an_error(
    tmp_path: Path, write_mcap: Callable[..., Path]
) -> None:
    path = write_mcap(tmp_path / 'a.mcap', enable_crcs=False)
    with path.open('rb') as stream:
        summary = SeekingReader(stream).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    before = written(summary.statistics)
    summary.statistics.message_count += 1
    summary.statistics.channel_message_counts[1] += 1
    path.write_bytes(path.read_bytes().replace(before, written(summary.statistics)))
    with bag_reader(path) as bag:
        assert len(list(bag.raw_messages(['/other']))) == 3
        with pytest.raises(GdfusionError, match=r'says that it has 4 messages on /text .* but there are 3: '):
            list(bag.raw_messages(['/text']))


def written(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())


@pytest.mark.parametrize('options', [{}, {'index_types': IndexType.NONE}, {'use_statistics': False}])
def test_files_joined_by_cat_are_refused(
    tmp_path: Path, write_mcap: Callable[..., Path], options: dict[str, Any]
) -> None:
    path = write_mcap(tmp_path / 'a.mcap', **options)
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(GdfusionError, match=r"it goes on behind its end: .* 'mcap merge' joins them"), bag_reader(path):
        pass


def test_messages_of_a_channel_that_is_not_described_are_listed(
    tmp_path: Path, write_mcap: Callable[..., Path]
) -> None:
    path = write_mcap(tmp_path / 'a.mcap', use_chunking=False, enable_crcs=False)
    content = path.read_bytes()
    message = content.index(b'\5', content.index(b'/other'))
    path.write_bytes(content[: message + 9] + b'\7\0' + content[message + 11 :])
    with bag_reader(path) as bag:
        assert ('(number 7)', 1) in [(item.topic, item.count) for item in bag.left_out]


def test_a_compressed_message_that_was_cut_off_is_told(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    path = write_mcap(tmp_path / 'a.mcap', pack=lambda data: zstandard.compress(100 * data)[:-4])
    with bag_reader(path) as bag, pytest.raises(GdfusionError, match='the end of a compressed message is missing'):
        list(bag.raw_messages())


Edit = Callable[[Summary], object]


def _without_statistics_of_one_chunk(summary: Summary) -> None:
    assert summary.statistics is not None
    del summary.chunk_indexes[1]
    summary.statistics.message_count -= 2
    summary.statistics.channel_message_counts = {1: 2, 2: 2}


def _empty(summary: Summary) -> None:
    assert summary.statistics is not None
    summary.chunk_indexes.clear()
    summary.statistics.message_count = 0
    summary.statistics.channel_message_counts = {}


def _twice(summary: Summary) -> None:
    summary.chunk_indexes[0] = summary.chunk_indexes[1]


def _move(places: int) -> Edit:
    def edit(summary: Summary) -> None:
        for chunk in summary.chunk_indexes:
            chunk.chunk_start_offset += places

    return edit


def _shift(start: int, end: int) -> Edit:
    def edit(summary: Summary) -> None:
        for chunk in summary.chunk_indexes:
            chunk.message_start_time += start
            chunk.message_end_time += end

    return edit


@pytest.mark.parametrize(
    'edit',
    [_without_statistics_of_one_chunk, _empty, _twice, _move(1), _move(1 << 62), _shift(50, 50), _shift(-100, -100)],
)
def test_every_message_comes_whatever_the_index_says(
    tmp_path: Path, write_mcap: Callable[..., Path], edit: Edit
) -> None:
    path = write_mcap(tmp_path / 'a.mcap', chunk_size=100)
    _rewrite_summary(path, edit)
    with bag_reader(path) as bag:
        assert bag.message_count == 6
        assert [m.stamp for m in bag.raw_messages()] == [100, 100, 101, 101, 102, 102]


def _rewrite_summary(path: Path, edit: Edit) -> None:
    content = path.read_bytes()
    with path.open('rb') as stream:
        summary = SeekingReader(stream).get_summary()
        assert summary is not None
        stream.seek(-28, SEEK_END)  # what the footer holds, and the magic
        begin = int.from_bytes(stream.read(8), 'little')
    assert len(summary.chunk_indexes) == 3
    edit(summary)
    written_anew = (
        *summary.schemas.values(),
        *summary.channels.values(),
        *([summary.statistics] if summary.statistics else []),
        *summary.chunk_indexes,
        Footer(begin, 0, 0),
    )
    path.write_bytes(content[:begin] + b''.join(map(written, written_anew)) + content[-8:])


@pytest.mark.parametrize('known', [True, False])
def test_a_message_that_would_fill_the_memory_is_refused(
    tmp_path: Path, write_mcap: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr('gdfusion_ros.bags.storage.MOST_UNPACKED', 1 << 20)
    packed = zstandard.ZstdCompressor(write_content_size=known).compress(bytes(1 << 24))
    path = write_mcap(tmp_path / 'a.mcap', pack=lambda _: packed)
    with bag_reader(path) as bag, pytest.raises(GdfusionError, match=r'a message of \d+ MB .* is larger than 1 MB'):
        list(bag.raw_messages())


def test_a_chunk_that_would_fill_the_memory_is_refused(
    tmp_path: Path, write_mcap: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('gdfusion_ros.bags.storage.MOST_UNPACKED', 1 << 20)
    path = write_mcap(tmp_path / 'a.mcap', pack=lambda _: bytes(1 << 21))
    with bag_reader(path) as bag, pytest.raises(GdfusionError, match=r'a chunk of \d+ MB .* is larger than 1 MB'):
        list(bag.raw_messages())
