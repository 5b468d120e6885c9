"""The description of a bag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gdfusion_ros.bags.info import bag_size, describe
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer


def test_describes_time_topics_and_custom_data(tmp_path: Path) -> None:
    make, start = RosbagsFactory(), 1_600_000_000_000_000_000
    with bag_writer(tmp_path / 'bag', custom_data={'scene': 'scene-0001'}) as bag:
        bag.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', LATCHED)
        bag.add_topic('/text', 'std_msgs/msg/String')
        bag.write('/tf_static', start, make('tf2_msgs/msg/TFMessage'))
        for index in range(6):
            bag.write('/text', start + index * 500_000_000, make('std_msgs/msg/String'))
    with bag_reader(tmp_path / 'bag') as bag:
        lines = [' '.join(line.split()) for line in describe(bag).splitlines()]
    size = bag_size(tmp_path / 'bag')
    assert lines[:6] == [
        f'bag {tmp_path}/bag',
        f'size {size / 1000:.2f}kB',
        'start 2020-09-13 12:26:40 UTC (1600000000.000000000)',
        'duration 2.500 s',
        'messages 7',
        'scene scene-0001',
    ]
    assert lines[-2:] == [
        '/text std_msgs/msg/String 6 2.00 reliable, volatile',
        '/tf_static tf2_msgs/msg/TFMessage 1 - reliable, transient_local',
    ]


def test_lists_what_is_left_out(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    with bag_reader(write_mcap(tmp_path / 'a.mcap', foreign=['json', 'protobuf'])) as bag:
        lines = [' '.join(line.split()) for line in describe(bag).splitlines()]
    assert lines[-4] == 'left out type messages because it is'
    assert lines[-2:] == ['/json note 1 json', '/protobuf note 1 protobuf']


def test_describes_an_empty_bag(tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'bag'):
        pass
    with bag_reader(tmp_path / 'bag') as bag:
        text = describe(bag)
    assert 'start     -' in text
    assert 'messages  0' in text


def test_what_a_bag_says_is_shown_without_its_control_characters(
    tmp_path: Path, write_mcap: Callable[..., Path]
) -> None:
    path = write_mcap(tmp_path / 'a.mcap', type_name='std_msgs/msg/\x1b[31mRed\n')
    with bag_reader(path) as bag:
        text = describe(bag)
    assert r'std_msgs/msg/\x1b[31mRed' in text
    assert '\x1b' not in text


def test_links_that_lead_nowhere_have_no_size(tmp_path: Path) -> None:
    with bag_writer(tmp_path / 'bag'):
        pass
    size = bag_size(tmp_path / 'bag')
    (tmp_path / 'bag' / 'link').symlink_to('nowhere')
    assert bag_size(tmp_path / 'bag') == size


def test_files_that_the_metadata_does_not_list_are_told(tmp_path: Path, write_mcap: Callable[..., Path]) -> None:
    with bag_writer(tmp_path / 'bag'):
        pass
    write_mcap(tmp_path / 'bag' / 'bag_1.mcap')
    with bag_reader(tmp_path / 'bag') as bag:
        assert 'not read  bag_1.mcap: not listed in metadata.yaml' in describe(bag)
