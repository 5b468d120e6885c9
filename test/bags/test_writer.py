"""Bags appear whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_was_written_is_read(tmp_path: Path, storage: str) -> None:
    make = RosbagsFactory()
    with bag_writer(tmp_path / 'new' / 'bag', storage=storage, custom_data={'a': 'b'}) as bag:
        bag.add_topic('/text', STRING, LATCHED)
        bag.add_topic('/silent', STRING)
        bag.write('/text', 5, make(STRING, data='hello'))
        bag.write('/text', 7, make(STRING, data='world'))
        assert not (tmp_path / 'new' / 'bag').exists()
    with Reader(tmp_path / 'new' / 'bag') as reader:
        assert [(c.topic, stamp) for c, stamp, _ in reader.messages()] == [('/text', 5), ('/text', 7)]
        assert set(reader.topics) == {'/text', '/silent'}
        assert reader.storage.metadata.custom == {'a': 'b'}
    assert [folder.name for folder in (tmp_path / 'new').iterdir()] == ['bag']


def write_and_raise(path: Path, error: type[BaseException], storage: str = 'mcap') -> None:
    with bag_writer(path, storage=storage) as bag:
        bag.add_topic('/text', STRING)
        bag.write('/text', 5, RosbagsFactory()(STRING, data='hello'))
        (path.parent / 'mine').touch()
        raise error


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError, GdfusionError])
def test_an_error_leaves_only_what_others_made(tmp_path: Path, storage: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_and_raise(tmp_path / 'bag', error, storage)
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_an_error_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), bag_writer(tmp_path / 'new' / 'folder' / 'bag'):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('kind', ['folder', 'file', 'dangling link'])
def test_what_exists_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'bag'
    makers: dict[str, Callable[[], None]] = {
        'folder': path.mkdir,
        'file': path.touch,
        'dangling link': lambda: path.symlink_to('nowhere'),
    }
    makers[kind]()
    with pytest.raises(GdfusionError, match='exists already, not overwriting'), bag_writer(path):
        pytest.fail('the block must not run')
    assert [p.name for p in tmp_path.iterdir()] == ['bag']


def test_a_bag_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='exists already'), bag_writer(tmp_path / 'bag'):
        (tmp_path / 'bag' / 'theirs').mkdir(parents=True)
    assert [path.name for path in tmp_path.rglob('*')] == ['bag', 'theirs']


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with (
        pytest.raises(GdfusionError, match=r'bag cannot be written: .*file is no folder'),
        bag_writer(tmp_path / 'file' / 'bag'),
    ):
        pytest.fail('the block must not run')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, storage: str) -> None:
    # A limit on the size of files makes the system refuse a write as a full disk does.
    script = textwrap.dedent(f"""
        import pathlib, resource, sys
        from gdfusion_ros.bags.writer import bag_writer
        from gdfusion_ros.errors import GdfusionError
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        try:
            with bag_writer(pathlib.Path({str(tmp_path)!r}) / 'new' / 'bag', storage={storage!r}) as bag:
                bag.add_topic('/text', {STRING!r})
                for stamp in range(300):
                    bag.write_serialized('/text', stamp, bytes(10_000))
        except GdfusionError as error:
            sys.exit(f'refused: {{error}}')
    """)
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'refused: bag {tmp_path}/new/bag cannot be written: ')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('storage', 'stamp'), [('sqlite3', 1 << 63), ('mcap', -1)])
def test_record_times_that_a_storage_does_not_have_are_refused(tmp_path: Path, storage: str, stamp: int) -> None:
    def write() -> None:
        with bag_writer(tmp_path / 'bag', storage=storage) as bag:
            bag.add_topic('/text', 'std_msgs/msg/String')
            bag.write_serialized('/text', stamp, b'\0\1\0\0\1\0\0\0\0')

    with pytest.raises(GdfusionError, match=f'a message on /text has the record time {stamp} ns'):
        write()
    assert list(tmp_path.iterdir()) == []
