"""sqlite3 files that other tools, other versions or accidents have made."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import LeftOut, bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'


def database(folder: Path, *statements: str) -> Path:
    """The file of a bag of three strings, with these changes; its metadata is gone."""
    with bag_writer(folder, storage='sqlite3') as bag:
        bag.add_topic('/text', STRING)
        for stamp in (100, 101, 102):
            bag.write('/text', stamp, RosbagsFactory()(STRING, data='x'))
    path = next(folder.glob('*.db3'))
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def stamps(path: Path) -> list[int]:
    with bag_reader(path) as bag:
        return [message.stamp for message in bag.raw_messages()]


@pytest.mark.parametrize(
    'statement',
    [
        "UPDATE message_definitions SET encoding = 'unknown'",  # rosbag2's, where it finds no definition
        'DROP TABLE message_definitions',
        'DROP TABLE metadata',
        'DELETE FROM schema',
        "UPDATE topics SET offered_qos_profiles = 'not: ['",
        "UPDATE topics SET offered_qos_profiles = '- depth: 1'",
        "UPDATE topics SET type = 'std_msgs/String'",
        'ALTER TABLE topics DROP COLUMN offered_qos_profiles',  # of Dashing
        "INSERT INTO topics SELECT 7, name, type, serialization_format, '', '' FROM topics",
    ],
)
def test_every_message_comes_whatever_stands_beside_it(tmp_path: Path, statement: str) -> None:
    assert stamps(database(tmp_path / 'bag', statement)) == [100, 101, 102]


@pytest.mark.parametrize('name', ['a b', 'a%20b', 'a?b#c', 'ä'])
def test_any_name_of_a_file_can_be_read(tmp_path: Path, name: str) -> None:
    path = database(tmp_path / 'bag').rename(tmp_path / f'{name}.db3')
    assert stamps(path) == [100, 101, 102]


def test_times_before_1970_count(tmp_path: Path) -> None:
    assert stamps(database(tmp_path / 'bag', 'UPDATE messages SET timestamp = -5 WHERE id = 2')) == [-5, 100, 102]


def test_messages_without_a_topic_are_listed(tmp_path: Path) -> None:
    path = database(tmp_path / 'bag', 'INSERT INTO messages SELECT 9, 8, timestamp, data FROM messages WHERE id = 1')
    with bag_reader(path) as bag:
        assert bag.message_count == len(list(bag.raw_messages())) == 3
        assert bag.left_out == [LeftOut('(number 8)', '', 1, 'a topic that its file does not name')]


@pytest.mark.parametrize(
    ('statement', 'said'),
    [
        ("UPDATE messages SET timestamp = 'noon' WHERE id = 2", "has the record time 'noon'; it is damaged"),
        ('UPDATE messages SET timestamp = 101.5 WHERE id = 2', 'has the record time 101.5; it is damaged'),
        ("UPDATE messages SET data = 'hello' WHERE id = 2", "a message on /text is 'hello'; it is damaged"),
        ('ALTER TABLE messages RENAME TO other', 'it is a database, but no bag: it has no table messages$'),
    ],
)
def test_what_is_no_message_is_refused(tmp_path: Path, statement: str, said: str) -> None:
    path = database(tmp_path / 'bag', statement)
    with pytest.raises(GdfusionError, match=said) as error:
        stamps(path)
    assert str(path) in str(error.value)


def test_what_was_not_finished_is_told(tmp_path: Path) -> None:
    path = database(tmp_path / 'bag')
    journal = path.with_name(path.name + '-journal')
    journal.write_bytes(bytes(512))  # of a transaction that has ended
    assert stamps(path) == [100, 101, 102]
    journal.write_bytes(b'\xd9\xd5\x05\xf9\x20\xa1\x63\xd7' + bytes(504))
    with pytest.raises(GdfusionError, match=f"still in {journal.name}: the recording was cut off; 'sqlite3 "):
        stamps(path)


def test_a_log_is_looked_for_beside_the_file_itself(tmp_path: Path) -> None:
    path = database(tmp_path / 'bag')
    path.with_name(path.name + '-wal').write_bytes(b'messages')
    (tmp_path / 'link.db3').symlink_to(path)
    with pytest.raises(GdfusionError, match=f'still in {path.name}-wal: the recording was cut off'):
        stamps(tmp_path / 'link.db3')


def test_a_number_of_two_topics_is_refused(tmp_path: Path) -> None:
    path = database(
        tmp_path / 'bag',
        'CREATE TABLE others AS SELECT * FROM topics',
        "INSERT INTO others SELECT id, '/other', type, serialization_format, '', '' FROM topics",
        'DROP TABLE topics',
        'ALTER TABLE others RENAME TO topics',
    )
    with pytest.raises(GdfusionError, match='two topics have the number 1; it is damaged'):
        stamps(path)
