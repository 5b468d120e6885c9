"""Bags that are whole, and bags that are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'


def write(path: Path, storage: str = 'mcap', count: int = 3) -> Path:
    make = RosbagsFactory()
    with bag_writer(path, storage=storage, custom_data={'a': 'b'}) as bag:
        bag.add_topic('/text', STRING, LATCHED)
        bag.add_topic('/other', STRING)
        for index in range(count):
            bag.write('/text', 100 + index, make(STRING, data=str(index)))
            bag.write('/other', 100 + index, make(STRING, data='x' * 1000))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(GdfusionError) as error, bag_reader(path) as bag:
        list(bag.raw_messages())
    assert '\n' not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_reads_topics_and_messages(tmp_path: Path, storage: str) -> None:
    with bag_reader(write(tmp_path / 'bag', storage)) as bag:
        assert (bag.message_count, bag.start, bag.duration) == (6, 100, 2)
        assert bag.custom_data == {'a': 'b'}
        assert [(t.name, t.type_name, t.count) for t in bag.topics.values()] == [
            ('/other', STRING, 3),
            ('/text', STRING, 3),
        ]
        assert bag.topics['/text'].qos == (LATCHED,)
        assert bag.count(['/text']) == 3
        assert [(m.topic, m.stamp, m.message.data) for m in bag.messages(['/text'])] == [
            ('/text', 100, '0'),
            ('/text', 101, '1'),
            ('/text', 102, '2'),
        ]
        assert [m.topic for m in bag.raw_messages()] == ['/text', '/other'] * 3
        assert [m.stamp for m in bag.raw_messages(['/other'], start=101)] == [101, 102]
        assert list(bag.raw_messages(['/nothing'])) == []


def test_reads_a_single_file(tmp_path: Path) -> None:
    for storage, suffix in (('mcap', 'mcap'), ('sqlite3', 'db3')):
        path = write(tmp_path / storage, storage)
        with bag_reader(path / f'{storage}.{suffix}') as bag:
            assert bag.count(['/text']) == 3


def test_an_empty_bag_has_no_time(tmp_path: Path) -> None:
    with bag_reader(write(tmp_path / 'bag', count=0)) as bag:
        assert (bag.message_count, bag.start, bag.duration) == (0, 0, 0)


def test_missing_topics_are_named_and_the_others_listed(tmp_path: Path) -> None:
    with bag_reader(write(tmp_path / 'bag')) as bag:
        bag.require({'/text': STRING, '/other': STRING})
        with pytest.raises(GdfusionError) as error:
            bag.require({'/text': STRING, '/tf': 'tf2_msgs/msg/TFMessage', '/other': 'sensor_msgs/msg/Image'})
    text = str(error.value)
    assert 'has no messages on /tf (tf2_msgs/msg/TFMessage), /other (sensor_msgs/msg/Image); it has' in text
    assert '/other (std_msgs/msg/String, 3), /text (std_msgs/msg/String, 3)' in text


def test_a_topic_without_messages_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', count=0)
    with bag_reader(path) as bag, pytest.raises(GdfusionError, match='no messages on /text'):
        bag.require({'/text': STRING})


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    assert 'no bag' in refusal(tmp_path / 'nowhere')
    assert 'no metadata.yaml' in refusal(tmp_path)
    (tmp_path / 'text.txt').write_text('hello')
    assert 'cannot be read' in refusal(tmp_path / 'text.txt')


@pytest.mark.parametrize('content', [b'', b'not mcap', b'\x89MCAP0\r\n', b'\x89MCAP0\r\n\x01'])
@pytest.mark.parametrize('suffix', ['mcap', 'db3'])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f'bag.{suffix}'
    path.write_bytes(content)
    assert 'cannot be read' in refusal(path)


@pytest.mark.parametrize('kept', [0.0, 0.01, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_truncated_recording_is_refused(tmp_path: Path, storage: str, kept: float) -> None:
    path = write(tmp_path / 'bag', storage, count=2000)
    file = next(file for file in path.iterdir() if file.name != 'metadata.yaml')
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    assert 'cannot be read' in refusal(path)


def test_damaged_chunks_are_refused_while_reading(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', count=2000)
    file = path / 'bag.mcap'
    content = bytearray(file.read_bytes())
    content[20_000:60_000] = b'\xff' * 40_000
    file.write_bytes(content)
    assert 'cannot be read' in refusal(path)


@pytest.mark.parametrize('text', ['', 'a: [', 'a: b', 'rosbag2_bagfile_information: 3'])
def test_broken_metadata_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / 'bag')
    (path / 'metadata.yaml').write_text(text)
    assert 'cannot be read' in refusal(path)


def test_a_bag_without_its_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag')
    (path / 'bag.mcap').unlink()
    assert 'bag.mcap' in refusal(path)


def test_a_damaged_message_is_refused(tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'bag') as bag:
        bag.add_topic('/text', STRING)
        bag.write_serialized('/text', 1, b'\0\1\0\0\xff\xff\xff\x7fshort')
    with bag_reader(tmp_path / 'bag') as bag, pytest.raises(GdfusionError, match='cannot be read'):
        list(bag.messages(['/text']))


@pytest.mark.parametrize('data', [b'', b'\0', b'hello world'])
def test_a_message_that_is_not_cdr_is_refused_before_anybody_gets_it(tmp_path: Path, data: bytes) -> None:
    with bag_writer(tmp_path / 'bag') as bag:
        bag.add_topic('/text', STRING)
        bag.write_serialized('/text', 1, data)
    assert 'a message on /text is not encoded as CDR; it is damaged' in refusal(tmp_path / 'bag')


@pytest.mark.parametrize('encoding', [2, 3, 6, 7, 0xB])
def test_other_encodings_of_dds_are_refused_by_name(tmp_path: Path, encoding: int) -> None:
    with bag_writer(tmp_path / 'bag') as bag:
        bag.add_topic('/text', STRING)
        bag.write_serialized('/text', 1, bytes([0, encoding]) + b'\0\0\2\0\0\0x\0')
    assert f'a message on /text is encoded as 0x{encoding:04x} of DDS' in refusal(tmp_path / 'bag')


def test_a_bag_can_be_moved(tmp_path: Path) -> None:
    shutil.move(write(tmp_path / 'bag'), tmp_path / 'elsewhere')
    with bag_reader(tmp_path / 'elsewhere') as bag:
        assert bag.message_count == 6
