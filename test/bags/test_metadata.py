"""Metadata that does not agree with the files, or is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from mcap.writer import IndexType, Writer

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED, STREAM
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError

STRING = 'std_msgs/msg/String'
STORAGES = pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])


def write(path: Path, storage: str = 'mcap', **options: Any) -> Path:
    make = RosbagsFactory()
    with bag_writer(path, storage=storage, **options) as bag:
        bag.add_topic('/text', STRING, LATCHED)
        for stamp in (100, 101, 102):
            bag.write('/text', stamp, make(STRING, data='x'))
    return path


def change(bag: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load((bag / 'metadata.yaml').read_text())
    edit(content['rosbag2_bagfile_information'])
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(content))


def set_topic(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: topic(content).update(values)


def topic(content: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = content['topics_with_message_count'][0]['topic_metadata']
    return metadata


def stamps(path: Path) -> list[int]:
    with bag_reader(path) as bag:
        return [message.stamp for message in bag.raw_messages()]


def refusal(path: Path) -> str:
    with pytest.raises(GdfusionError) as error:
        stamps(path)
    assert '\n' not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@STORAGES
@pytest.mark.parametrize(
    'edit',
    [
        set_topic(offered_qos_profiles=''),
        set_topic(offered_qos_profiles=[]),
        set_topic(offered_qos_profiles=None),
        set_topic(offered_qos_profiles='not: ['),
        set_topic(offered_qos_profiles=[{'depth': 1}]),
        set_topic(type='std_msgs/String'),
        set_topic(type='std_msgs/msg/Header'),
        set_topic(type_description_hash='RIHS01_other'),
        lambda content: topic(content).pop('offered_qos_profiles'),
        lambda content: topic(content)['offered_qos_profiles'][0].update(depth=7),
        lambda content: topic(content)['offered_qos_profiles'][0].update(depth=[7]),
        lambda content: topic(content)['offered_qos_profiles'][0]['deadline'].update(sec=[7]),
        lambda content: content['topics_with_message_count'].clear(),
        lambda content: content.update(topics_with_message_count=None),
        lambda content: content['topics_with_message_count'][0].update(message_count=1),
        lambda content: content.update(storage_identifier=''),
        lambda content: content.update(storage_identifier='somebody_s_plugin', version=10),
        lambda content: content.update(relative_file_paths=[]),
        lambda content: content['relative_file_paths'].append(
            f'C:\\recordings\\{content["relative_file_paths"].pop()}'
        ),
        lambda content: content['relative_file_paths'].append(f'rec/{content["relative_file_paths"].pop()}'),
    ],
)
def test_every_message_comes_whatever_stands_beside_it(
    tmp_path: Path, storage: str, edit: Callable[[dict[str, Any]], object]
) -> None:
    change(write(tmp_path / 'bag', storage), edit)
    assert stamps(tmp_path / 'bag') == [100, 101, 102]


@STORAGES
def test_the_metadata_s_qos_goes_before_the_file_s(tmp_path: Path, storage: str) -> None:
    bag, other = write(tmp_path / 'bag', storage), tmp_path / 'other'
    with bag_writer(other) as writer:
        writer.add_topic('/text', STRING, STREAM)
    edited = yaml.safe_load((other / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    profiles = edited['topics_with_message_count'][0]['topic_metadata']['offered_qos_profiles']
    change(bag, set_topic(offered_qos_profiles=profiles))
    with bag_reader(bag) as reader:
        assert reader.topics['/text'].qos == (STREAM,)
    change(bag, set_topic(offered_qos_profiles=[]))
    with bag_reader(bag) as reader:
        assert reader.topics['/text'].qos == (LATCHED,)


@STORAGES
@pytest.mark.parametrize(
    'edit', [lambda content: content['topics_with_message_count'][0].update(message_count=4), set_topic(name='/lost')]
)
def test_fewer_messages_than_promised_are_an_error(
    tmp_path: Path, storage: str, edit: Callable[[dict[str, Any]], object]
) -> None:
    change(write(tmp_path / 'bag', storage), edit)
    text = refusal(tmp_path / 'bag')
    assert 'says that it has' in text
    assert 'ros2 bag reindex' in text


@STORAGES
@pytest.mark.parametrize('compression', ['none', 'message', 'file'])
def test_files_are_read_without_metadata(tmp_path: Path, storage: str, compression: str) -> None:
    bag = write(tmp_path / 'bag', storage, compression=compression)
    (bag / 'metadata.yaml').unlink()
    assert stamps(bag) == [100, 101, 102]
    (file,) = bag.iterdir()
    assert stamps(file) == [100, 101, 102]


def split(folder: Path, write_mcap: Callable[..., Path], listed: tuple[str, ...] = ('s_0.mcap', 's_1.mcap')) -> Path:
    write(folder)
    (folder / f'{folder.name}.mcap').unlink()
    write_mcap(folder / 's_0.mcap', stamps=(100, 103))
    write_mcap(folder / 's_1.mcap', stamps=(101, 105), qos='[]')
    change(folder, lambda content: content.update(relative_file_paths=list(listed)))
    return folder


@pytest.mark.parametrize('listed', [('s_0.mcap', 's_1.mcap'), ('s_1.mcap', 's_0.mcap'), ()])
def test_split_recordings_are_read_in_time_order(
    tmp_path: Path, write_mcap: Callable[..., Path], listed: tuple[str, ...]
) -> None:
    bag = split(tmp_path / 'bag', write_mcap, listed)
    assert stamps(bag) == [100, 100, 101, 101, 103, 103, 105, 105]
    (bag / 'metadata.yaml').unlink()
    assert stamps(bag) == [100, 100, 101, 101, 103, 103, 105, 105]


def test_a_lost_file_is_named(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    bag = split(tmp_path / 'bag', write_mcap)
    (bag / 's_0.mcap').unlink()
    assert 'it lacks s_0.mcap' in refusal(bag)


def test_an_unpacked_file_is_found(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    bag = split(tmp_path / 'bag', write_mcap, ('s_0.mcap.zstd', 's_1.mcap'))
    assert len(stamps(bag)) == 8


def test_folders_that_are_no_bag_say_what_they_are(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    bag = write(tmp_path / 'bags' / 'one')
    assert f'there are bags in it, e.g. {bag}' in refusal(tmp_path / 'bags')
    write_mcap(tmp_path / 'bags' / 'monday.mcap')
    write_mcap(tmp_path / 'bags' / 'tuesday.mcap')
    assert 'not of one recording; give one of them: monday.mcap, tuesday.mcap' in refusal(tmp_path / 'bags')
    assert f'it describes one: give its folder, {bag}' in refusal(bag / 'metadata.yaml')


@pytest.mark.parametrize('other', ['s_0.db3', 's_0.db3.zst', 's.mcap'])
def test_the_same_in_two_files_is_not_one_recording(
    tmp_path: Path, write_mcap: Callable[..., Path], other: str
) -> None:
    write_mcap(tmp_path / 's_0.mcap')
    shutil.copy(tmp_path / 's_0.mcap', tmp_path / other)
    assert 'not of one recording; give one of them: ' in refusal(tmp_path)


def test_a_number_that_is_missing_is_told(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    for number in (8, 9, 11):
        write_mcap(tmp_path / f's_{number}.mcap', stamps=(number,))
    with bag_reader(tmp_path) as bag:
        assert [message.stamp for message in bag.raw_messages(['/text'])] == [8, 9, 11]
        assert bag.not_read == ['what came between s_9.mcap and s_11.mcap: by their numbers a file is missing']


@pytest.mark.parametrize('suffix', ['.zst', '.zstd'])
@pytest.mark.parametrize('described', [True, False])
def test_a_file_that_was_packed_by_hand_is_found(tmp_path: Path, suffix: str, described: bool) -> None:
    bag = write(tmp_path / 'bag')
    (bag / f'bag.mcap{suffix}').write_bytes(zstandard.compress((bag / 'bag.mcap').read_bytes()))
    if not described:
        (bag / 'metadata.yaml').unlink()
    assert stamps(bag) == [100, 101, 102]
    (bag / 'bag.mcap').unlink()
    assert stamps(bag) == [100, 101, 102]


def test_endings_in_capitals_are_found(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    write_mcap(tmp_path / 'REC_0.MCAP', stamps=(1,))
    assert set(stamps(tmp_path)) == {1}


def file_of(bag: Path) -> Path:
    return next(path for path in bag.iterdir() if path.name != 'metadata.yaml')


def custom_data(path: Path) -> dict[str, str]:
    with bag_reader(path) as bag:
        return dict(bag.custom_data)


@STORAGES
@pytest.mark.parametrize('compression', ['none', 'message', 'file'])
def test_a_file_by_itself_says_what_its_bag_said(tmp_path: Path, storage: str, compression: str) -> None:
    bag = write(tmp_path / 'bag', storage, compression=compression, custom_data={'scene': 'scene-0001'})
    assert custom_data(bag) == custom_data(file_of(bag)) == {'scene': 'scene-0001'}
    assert stamps(file_of(bag)) == [100, 101, 102]
    (bag / 'metadata.yaml').unlink()
    assert custom_data(bag) == {'scene': 'scene-0001'}


def with_record(path: Path, content: str, **options: Any) -> Path:
    """An MCAP file whose own record of the whole bag is ``content``."""
    with path.open('wb') as stream:
        writer = Writer(stream, **options)
        writer.start(profile='ros2')
        writer.add_metadata('rosbag2', {'serialized_metadata': 'version: 9'})
        channel = writer.register_channel('/text', 'cdr', writer.register_schema(STRING, 'ros2msg', b'string data'))
        writer.add_message(channel, 100, b'\0\1\0\0\1\0\0\0\0', 100)
        writer.add_metadata('rosbag2', {'serialized_metadata': content})
        writer.add_metadata('calibration', {'serialized_metadata': 'custom_data: {wrong: yes}'})
        writer.finish()
    return path


@pytest.mark.parametrize('options', [{}, {'index_types': IndexType.NONE}, {'use_chunking': False}])
@pytest.mark.parametrize(
    ('content', 'expected'),
    [('custom_data: {scene: 7}', {'scene': '7'}), ('custom_data: [1]', {}), ('not: [', {}), ('7', {})],
)
def test_the_record_of_an_mcap_file_is_read_with_and_without_an_index(
    tmp_path: Path, options: dict[str, Any], content: str, expected: dict[str, str]
) -> None:
    assert custom_data(with_record(tmp_path / 'a.mcap', content, **options)) == expected


def test_messages_compressed_in_another_way_are_refused_by_its_name(tmp_path: Path) -> None:
    packed = {'compression_mode': 'MESSAGE', 'compression_format': 'lz4'}
    said = "cannot be read: its messages are compressed with 'lz4', not with zstd; 'ros2 bag convert'"
    change(write(tmp_path / 'bag'), lambda content: content.update(packed))
    assert said in refusal(tmp_path / 'bag')
    assert said in refusal(with_record(tmp_path / 'a.mcap', yaml.safe_dump(packed)))


def test_custom_data_is_text(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    change(bag, lambda content: content.update(custom_data={1: 2.5, 'a': None}))
    assert custom_data(bag) == {'1': '2.5', 'a': 'None'}
    change(bag, lambda content: content.update(custom_data=[1]))
    assert 'its metadata.yaml is broken' in refusal(bag)


def test_a_file_that_is_listed_twice_is_read_once(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    change(bag, lambda content: content.update(relative_file_paths=2 * content['relative_file_paths']))
    assert stamps(bag) == [100, 101, 102]


def test_a_name_that_is_no_text_breaks_the_metadata(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    change(bag, set_topic(name=7))
    assert 'its metadata.yaml is broken (TypeError: the name of a topic is 7)' in refusal(bag)


def test_what_other_systems_leave_in_a_folder_does_not_matter(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    (bag / '._bag.mcap').write_bytes(b'\0\5\x16\7')
    assert stamps(bag) == [100, 101, 102]


def test_what_is_neither_a_file_nor_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'a.mcap')
    assert 'it is neither a file nor a folder' in refusal(tmp_path / 'a.mcap')


def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    packed = write(tmp_path / 'packed')
    change(packed, lambda content: content['relative_file_paths'].append('packed.mcap.zstd'))
    assert stamps(packed) == [100, 101, 102]
    linked = write(tmp_path / 'linked')
    change(linked, lambda content: content['relative_file_paths'].append('again.mcap'))
    (linked / 'again.mcap').symlink_to('linked.mcap')
    assert stamps(linked) == [100, 101, 102]


@pytest.mark.parametrize(
    'edit',
    [
        lambda content: content.update(compression_mode='HERE'),
        lambda content: content.update(compression_format='HERE'),
        lambda content: content.update(custom_data={'a': 'HERE'}),
        set_topic(name='HERE'),
    ],
)
def test_references_that_would_fill_the_memory_break_the_metadata(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    bag = write(tmp_path / 'bag')
    change(bag, edit)
    lists = ['a0: &a0 [x]', *(f'a{n}: &a{n} [{",".join([f"*a{n - 1}"] * 10)}]' for n in range(1, 40))]
    text = (bag / 'metadata.yaml').read_text().replace('HERE', '*a39')
    (bag / 'metadata.yaml').write_text('\n'.join([*lists, text]))
    assert 'its metadata.yaml is broken (TypeError: a list stands where text is expected)' in refusal(bag)
