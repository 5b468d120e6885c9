"""What is no rosbag2 file, or no longer, is refused by a sentence of its own; the name of a file does not matter."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'


def recorded(folder: Path, storage: str) -> Path:
    """The file of a bag with 500 messages."""
    with bag_writer(folder, storage=storage) as bag:
        bag.add_topic('/text', STRING)
        for stamp in range(500):
            bag.write('/text', stamp, RosbagsFactory()(STRING, data='x' * 1000))
    return next(file for file in folder.iterdir() if file.name != 'metadata.yaml')


def refusal(path: Path) -> str:
    with pytest.raises(GdfusionError) as error, bag_reader(path) as bag:
        list(bag.raw_messages())
    assert '\n' not in str(error.value)
    assert f'{path} cannot be read: ' in str(error.value)
    return str(error.value).split('cannot be read: ')[1]


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'', 'it is empty'),
        (b'#ROSBAG V2.0\nE\0\0\0', "a ROS 1 bag; 'rosbags-convert"),
        (gzip.compress(b'hello'), "packed with gzip; unpack it ('gunzip')"),
        (b'\x04\x22\x4d\x18abc', 'packed with lz4'),
        (b'PK\x03\x04abc', 'a zip archive'),
        (b'version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'),
        (b'ULog\x01\x12\x35', 'a PX4 log'),
        (b'<!DOCTYPE html>', 'a failed download'),
        (b'\0' * 1000, 'only zero bytes'),
        (b'\x89MCAP', 'cut off in its first bytes'),
        (b'{"a": 1}', 'it is neither MCAP nor sqlite3'),
    ],
)
@pytest.mark.parametrize('name', ['a.mcap', 'a.db3', 'a.bag', 'a.mcap.zstd'])
def test_foreign_files_are_named(tmp_path: Path, content: bytes, sentence: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    text = refusal(path)
    assert sentence in text
    assert 'recover' not in text


def test_a_folder_of_ros_1_bags_says_so(tmp_path: Path) -> None:
    (tmp_path / 'a.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(GdfusionError, match='a ROS 1 bag'), bag_reader(tmp_path):
        pass


@pytest.mark.parametrize('kept', [0.1, 0.9, 0.999])
@pytest.mark.parametrize(('storage', 'remedy'), [('mcap', "'mcap recover'"), ('sqlite3', '.recover')])
@pytest.mark.parametrize('packed', [False, True])
def test_what_was_cut_off_may_be_saved(tmp_path: Path, storage: str, remedy: str, kept: float, packed: bool) -> None:
    file = recorded(tmp_path / 'bag', storage)
    content = file.read_bytes()[: int(kept * file.stat().st_size)]
    file.write_bytes(zstandard.compress(content) if packed else content)
    text = refusal(file)
    assert 'its end is missing' in text
    assert remedy in text


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path, storage: str) -> None:
    file = recorded(tmp_path / 'bag', storage)
    content = zstandard.compress(file.read_bytes())
    (tmp_path / 'a.zstd').write_bytes(content[: len(content) // 2])
    assert refusal(tmp_path / 'a.zstd')


def test_damage_is_no_cut(tmp_path: Path) -> None:
    file = recorded(tmp_path / 'bag', 'mcap')
    content = bytearray(file.read_bytes())
    content[1000:2000] = b'\xff' * 1000
    file.write_bytes(content)
    text = refusal(file.parent)
    assert 'it is damaged: copy it again' in text
    assert 'recover' not in text


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('packed', [False, True])
def test_a_file_is_known_by_its_bytes(tmp_path: Path, storage: str, packed: bool) -> None:
    content = recorded(tmp_path / 'bag', storage).read_bytes()
    (tmp_path / 'renamed').write_bytes(zstandard.compress(content) if packed else content)
    with bag_reader(tmp_path / 'renamed') as bag:
        assert len(list(bag.raw_messages())) == 500


def test_messages_left_in_a_log_of_sqlite_are_told(tmp_path: Path) -> None:
    file = recorded(tmp_path / 'bag', 'sqlite3')
    file.with_name(file.name + '-wal').write_bytes(b'not empty')
    assert 'PRAGMA wal_checkpoint' in refusal(file)


def test_nothing_stays_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_mcap: Callable[..., Path]
) -> None:
    (tmp_path / 'temporary').mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'temporary'))
    packed = tmp_path / 'a.mcap.zstd'
    packed.write_bytes(zstandard.compress(write_mcap(tmp_path / 'a.mcap').read_bytes()))
    with bag_reader(packed) as bag:
        assert bag.message_count == 6
        assert list((tmp_path / 'temporary').iterdir())
    assert list((tmp_path / 'temporary').iterdir()) == []
