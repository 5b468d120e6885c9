"""Replays of bags whose drivers and localisation do it their own way: the same grids, or a line that says why not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.replay import replay
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import stamp_of
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.settings import PipelineSettings, TopicSettings


class Item:
    """A message of a bag."""

    def __init__(self, topic: str, type_name: str, stamp: int, message: Any) -> None:
        self.topic, self.type_name, self.stamp, self.message = topic, type_name, stamp, message

    @property
    def is_info(self) -> bool:
        return self.type_name == 'sensor_msgs/msg/CameraInfo'


Change = Callable[[list[Item]], list[Item]]
Replay = Callable[[Change], 'list[tuple[int, bytes]] | str']


@pytest.fixture(scope='module')
def replayed(tiny_network: OccupancyNetwork, scene_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """``replayed(change)``: stamp and labels of every grid of the scene with its messages changed, or the error."""

    def run(change: Change) -> list[tuple[int, bytes]] | str:
        folder = tmp_path_factory.mktemp('odd')
        bag, out = folder / 'bag', folder / 'grids'
        with bag_reader(scene_bag) as reader:
            items = change(
                [
                    Item(topic, reader.topics[topic].type_name, stamp, message)
                    for topic, stamp, message in reader.messages(list(reader.topics))
                ]
            )
        with bag_writer(bag) as writer:
            for topic, type_name in {item.topic: item.type_name for item in items}.items():
                writer.add_topic(topic, type_name)
            for item in sorted(items, key=lambda item: item.stamp):
                writer.write(item.topic, item.stamp, item.message)
        try:
            replay(bag, out, tiny_network, PipelineSettings(), TopicSettings())
        except GdfusionError as error:
            return str(error)
        with bag_reader(out) as reader:
            return [
                (stamp_of(grid.header.stamp), bytes(grid.labels)) for _, _, grid in reader.messages(['/occ/occupancy'])
            ]

    return run


@pytest.fixture(scope='module')
def expected(replayed: Replay) -> list[tuple[int, bytes]] | str:
    """Of the scene as it is."""
    return replayed(lambda items: items)


def every(select: Callable[[Item], bool], change: Callable[[Any], object]) -> Change:
    """Every selected message changed in its place."""

    def apply(items: list[Item]) -> list[Item]:
        for item in filter(select, items):
            change(item.message)
        return items

    return apply


def infos(change: Callable[[Any], object]) -> Change:
    return every(lambda item: item.is_info, change)


def fields(**values: Any) -> Callable[[Any], None]:
    """Sets fields of a message."""

    def change(message: Any) -> None:
        for name, value in values.items():
            setattr(message, name, value)

    return change


def first_infos(items: list[Item]) -> list[Item]:
    """Calibration is sent once, before anything else."""
    known: set[str] = set()
    return [item for item in items if not item.is_info or not (item.topic in known or known.add(item.topic))]


def late_camera(items: list[Item]) -> list[Item]:
    for item in items:
        item.stamp += 150_000_000 * item.topic.startswith('/CAM_BACK_LEFT/')
    return items


def through_odom(items: list[Item]) -> list[Item]:
    """map -> odom twice a second, odom -> base_link as often as poses came."""
    poses = [item for item in items if item.topic == '/tf']
    for item in poses:
        item.message.transforms[0].header.frame_id = 'odom'
    begin, end, make = poses[0].stamp, poses[-1].stamp, RosbagsFactory()
    for stamp in range(begin - 10**9, end + 10**9, 500_000_000):
        message = copy.deepcopy(poses[0].message)
        message.transforms = message.transforms[:1]
        odom = message.transforms[0]
        odom.header.frame_id, odom.child_frame_id = 'map', 'odom'
        odom.header.stamp = make('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)
        fields(x=0.0, y=0.0, z=0.0)(odom.transform.translation)
        fields(x=0.0, y=0.0, z=0.0, w=1.0)(odom.transform.rotation)
        items.append(Item('/tf', poses[0].type_name, stamp, message))
    return items


def every_pose_twice(items: list[Item]) -> list[Item]:
    """Two samples with one stamp, as two nodes that publish the same transform give them."""
    return items + [
        Item(item.topic, item.type_name, item.stamp, copy.deepcopy(item.message))
        for item in items
        if item.topic == '/tf'
    ]


def rough_quaternions(items: list[Item]) -> list[Item]:
    """As float32, and 0.4 % too long."""
    for item in items:
        for transform in getattr(item.message, 'transforms', ()):
            turn = transform.transform.rotation
            fields(**{axis: float(np.float32(getattr(turn, axis))) * 1.004 for axis in 'xyzw'})(turn)
    return items


HARMLESS: dict[str, Change] = {
    'P is zero': infos(fields(p=np.zeros(12), distortion_model='', d=np.zeros(0))),
    'a distortion model of fisheyes': infos(fields(distortion_model='equidistant', d=np.zeros(4))),
    'camera info once': first_infos,
    'a camera arrives late': late_camera,
    'poses through odom': through_odom,
    'every pose twice': every_pose_twice,
}


@pytest.mark.parametrize('change', HARMLESS.values(), ids=HARMLESS)
def test_the_grids_are_the_same(replayed: Replay, expected: list[tuple[int, bytes]] | str, change: Change) -> None:
    assert len(expected) == 3
    assert replayed(change) == expected


def test_quaternions_that_are_not_quite_of_length_one_are_taken(replayed: Replay) -> None:
    assert len(replayed(rough_quaternions)) == 3


def seldom_poses(items: list[Item]) -> list[Item]:
    """The first pose alone: every set waits for the next."""
    return [item for item in items if item.topic != '/tf'] + [item for item in items if item.topic == '/tf'][:1]


def zero_stamps(message: Any) -> None:
    fields(sec=0, nanosec=0)(message.header.stamp)


def standing_stamps(message: Any) -> None:
    message.header.stamp.nanosec = 0
    message.header.stamp.sec -= message.header.stamp.sec % 1000


def scaled(message: Any) -> None:
    fields(width=2 * message.width, height=2 * message.height, k=message.k * [2, 1, 2, 1, 2, 2, 1, 1, 1])(message)


def late_by_80_ms(message: Any) -> None:
    stamp = message.header.stamp
    stamp.nanosec += 80_000_000


REFUSED: dict[str, tuple[Change, str]] = {
    'no size': (infos(fields(width=0, height=0)), 'no camera info of CAM_FRONT_LEFT; its topic is the setting'),
    'no intrinsics': (
        infos(fields(k=np.zeros(9), p=np.zeros(12))),
        'the intrinsic matrix K is empty; calibrate the camera',
    ),
    'images without a frame': (
        every(lambda item: item.topic.endswith('/compressed'), lambda image: fields(frame_id='')(image.header)),
        '18 messages refused, such as /CAM_FRONT_LEFT/image/compressed at ',
    ),
    'of another size': (infos(scaled), 'scale both alike, or calibrate the camera for this size'),
    'poses too seldom': (seldom_poses, 'the newest is of'),
    'no places of the cameras': (
        lambda items: [item for item in items if item.topic != '/tf_static'],
        'is in no transform; something has to publish where it is',
    ),
    'images without a stamp': (
        every(lambda item: item.topic.endswith('/compressed'), zero_stamps),
        'tf_history may be too short, or two clocks at work',
    ),
    'a clock that stands still': (
        every(lambda item: item.topic == '/CAM_BACK/image/compressed', standing_stamps),
        '2 images of CAM_BACK have the stamp of the one before: its clock stands still',
    ),
    'a camera 80 ms late': (
        every(lambda item: item.topic.startswith('/CAM_BACK/'), late_by_80_ms),
        'sync_tolerance and missing_camera say what is done about it',
    ),
}


@pytest.mark.parametrize(('change', 'said'), REFUSED.values(), ids=REFUSED)
def test_why_there_is_no_grid_is_one_line(replayed: Replay, change: Change, said: str) -> None:
    error = replayed(change)
    assert isinstance(error, str)
    assert 'gives no grid' in error
    assert said in error
    assert error.isprintable()
