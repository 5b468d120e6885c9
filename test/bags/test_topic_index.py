from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.topic_index import topic_indexes
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import header

TYPE, MAKE = 'sensor_msgs/msg/CompressedImage', RosbagsFactory()


def write(path: Path, stamps: list[int], *, recorded: int = 7, storage: str = 'mcap') -> Path:
    """A bag whose messages on /a have ``stamps`` and all the same record time, so that only the stamps differ."""
    with bag_writer(path, storage=storage) as bag:
        bag.add_topic('/a', TYPE)
        bag.add_topic('/text', 'std_msgs/msg/String')
        bag.write('/text', recorded, MAKE('std_msgs/msg/String', data='no header'))
        for stamp in stamps:
            bag.write('/a', recorded, MAKE(TYPE, header=header(stamp, 'a', MAKE), format=str(stamp)))
    return path


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_messages_are_found_by_their_stamp(tmp_path: Path, storage: str) -> None:
    with bag_reader(write(tmp_path / 'bag', [30, 10, 20], storage=storage)) as bag:
        entries = topic_indexes([bag], [TYPE])['/a']
        assert (entries.type_name, len(entries)) == (TYPE, 3)
        assert entries.stamps.tolist() == [30, 10, 20]
        assert [entries.message(index).format for index in (2, 0, 1)] == ['20', '30', '10']


@pytest.mark.parametrize(('stamp', 'within', 'index'), [(12, 5, 1), (0, 10, 1), (0, 9, None), (26, 100, 0)])
def test_the_nearest_one(tmp_path: Path, stamp: int, within: int, index: int | None) -> None:
    with bag_reader(write(tmp_path / 'bag', [30, 10, 20])) as bag:
        assert topic_indexes([bag], [TYPE])['/a'].nearest(stamp, within) == index


def test_a_topic_of_several_bags_is_one_track(tmp_path: Path) -> None:
    paths = [write(tmp_path / 'first', [1, 2]), write(tmp_path / 'second', [3])]
    with ExitStack() as stack:
        entries = topic_indexes([stack.enter_context(bag_reader(path)) for path in paths], [TYPE])['/a']
        assert [entries.message(index).format for index in range(3)] == ['1', '2', '3']


def test_only_topics_with_messages_of_the_types_asked_for(tmp_path: Path) -> None:
    with bag_reader(write(tmp_path / 'bag', [])) as bag:
        assert topic_indexes([bag], [TYPE]) == {}


def test_a_message_without_a_header_is_refused(tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'bag') as bag:
        bag.add_topic('/a', TYPE)
        bag.write_serialized('/a', 0, b'\0\1\0\0ab')
    with bag_reader(tmp_path / 'bag') as bag, pytest.raises(GdfusionError, match='/a: a message of 6 bytes has no'):
        topic_indexes([bag], [TYPE])
