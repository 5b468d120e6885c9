"""Replays of bags in which frames, poses or clocks are not what they should be: refused by name, or of no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.replay import replay
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.settings import PipelineSettings, TopicSettings

Change = Callable[[str, Message], tuple[str, Message]]

BACK = '/CAM_BACK/image/compressed'
FRONT = '/CAM_FRONT/image/compressed'


@pytest.mark.parametrize(
    ('frame', 'name'), [('base_link', 'base_frame'), ('/base_link', 'base_frame'), ('map', 'fixed_frame')]
)
def test_an_image_in_the_vehicles_own_frame_is_refused(
    replay_edited: Callable[..., Any], frame: str, name: str
) -> None:
    def change(topic: str, message: Message) -> tuple[str, Message]:
        if topic == BACK:
            message.header.frame_id = frame
        return topic, message

    done = replay_edited(change)
    assert 'gives no grid' in done.error
    (line,) = done.warnings
    assert f"frame_id '{frame.lstrip('/')}' is the {name}" in line
    assert BACK in line


def test_transforms_may_be_on_other_topics(replay_edited: Callable[..., Any]) -> None:
    def change(topic: str, message: Message) -> tuple[str, Message]:
        return f'/robot1{topic}' if topic.startswith('/tf') else topic, message

    done = replay_edited(change, TopicSettings(tf_topic='/robot1/tf', tf_static_topic='/robot1/tf_static'))
    assert len(done.stamps) == 3


def test_topics_that_may_be_meant_are_listed_first(replay_edited: Callable[..., Any]) -> None:
    done = replay_edited(lambda topic, message: (f'/robot1{topic}' if topic == '/tf' else topic, message))
    assert 'has no messages on /tf (tf2_msgs/msg/TFMessage); it has /robot1/tf (tf2_msgs/msg/TFMessage, ' in done.error


def test_missing_transforms_are_named_by_the_topic_that_was_set(replay_edited: Callable[..., Any]) -> None:
    done = replay_edited(lambda topic, message: (topic, message), TopicSettings(tf_topic='/robot1/tf'))
    assert 'has no messages on /robot1/tf (' in done.error


SECOND_SET = 1_600_000_060_464_300_000


def moved(since: int, x: float = 0.0, *, turned: bool = False) -> Callable[[str, Message], tuple[str, Message]]:
    """The localisation jumps: poses from ``since`` [ns] on lie ``x`` [m] further, or look the other way."""

    def change(topic: str, message: Message) -> tuple[str, Message]:
        for transform in message.transforms if topic == '/tf' else ():
            if stamp_of(transform.header.stamp) >= since:
                pose = transform.transform
                pose.translation.x += x
                if turned:
                    turn = pose.rotation
                    turn.x, turn.y, turn.z, turn.w = turn.y, -turn.x, turn.w, -turn.z
        return topic, message

    return change


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (moved(SECOND_SET - 100_000_000, turned=True), 'ego_turn'),
        (moved(SECOND_SET - 100_000_000, 60.0), 'ego_jump'),
        (moved(SECOND_SET - 100_000_000, 1.0), ''),
    ],
)
def test_a_jump_between_two_sets_resets_the_memory(replay_edited: Callable[..., Any], change: Any, reason: str) -> None:
    result = replay_edited(change).result
    assert result.counts.grids == 3
    assert result.counts.resets == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ('change', 'grids'),
    [
        (moved(SECOND_SET + 10_000_000, 60.0), 2),
        (moved(SECOND_SET + 10_000_000, turned=True), 2),
        (moved(SECOND_SET + 10_000_000, 0.3), 3),
    ],
)
def test_a_jump_within_a_set_costs_that_set(replay_edited: Callable[..., Any], change: Any, grids: int) -> None:
    counts = replay_edited(change).result.counts
    assert counts.grids == grids
    assert counts.sets_dropped == ({'ego_jump': 1} if grids < 3 else {})
    assert ("the pose of 'base_link' in 'map' jumps by" in counts.last_drop) is (grids < 3)


SECOND = 1_000_000_000


def set_stamp(header: Any, stamp: int) -> None:
    header.stamp.sec, header.stamp.nanosec = divmod(stamp, SECOND)


def off(topic: str, offset: int) -> Change:
    """The clock of a topic is wrong for 3 s."""
    begin = SECOND_SET + 2 * SECOND

    def change(name: str, message: Message) -> tuple[str, Message]:
        for part in getattr(message, 'transforms', [message]) if name == topic else ():
            stamp = stamp_of(part.header.stamp)
            if begin < stamp < begin + 3 * SECOND:
                set_stamp(part.header, stamp + offset)
        return name, message

    return change


@pytest.mark.parametrize(
    ('topic', 'stream', 'leads'),
    [
        (BACK, 'images of CAM_BACK', False),
        (FRONT, 'images of CAM_FRONT', True),
        ('/tf', 'transforms of base_link', True),
    ],
)
@pytest.mark.parametrize(('offset', 'way'), [(-20 * SECOND, 'back by'), (20 * SECOND, 'ahead by')])
def test_a_clock_that_jumps_alone_is_named(
    tiny_network: OccupancyNetwork,
    scene_bag: Path,
    strung: Callable[..., Path],
    tmp_path: Path,
    topic: str,
    stream: str,
    leads: bool,
    offset: int,
    way: str,
) -> None:
    """A camera's costs its sets and no epoch, which the reference camera and the vehicle's transforms begin."""
    warnings: list[str] = []
    counts = replay(
        strung(scene_bag, 6, off(topic, offset)),
        tmp_path / 'out',
        tiny_network,
        PipelineSettings(),
        TopicSettings(),
        listener=ReplayListener(warning=warnings.append),
    ).counts
    (line,) = warnings
    assert line.startswith(f'the clock of the {stream} jumped {way} ')
    assert counts.jumps == {stream: 2 if offset > 0 else 1}, 'away, and back where the others are or were'
    assert 'time_jump' not in counts.resets or leads
    assert counts.grids >= 6
    assert counts.cameras['CAM_BACK'].received == 18


def test_a_bag_that_is_right_has_no_jumps(
    tiny_network: OccupancyNetwork, scene_bag: Path, strung: Callable[..., Path], tmp_path: Path
) -> None:
    counts = replay(strung(scene_bag, 6), tmp_path / 'out', tiny_network, PipelineSettings(), TopicSettings()).counts
    assert (counts.grids, counts.jumps, counts.resets) == (18, {}, {})


def back_camera(**fields: Any) -> Change:
    """CAM_BACK's images, or its camera info, with other fields."""

    def change(topic: str, message: Message) -> tuple[str, Message]:
        if topic in (BACK, '/CAM_BACK/camera_info'):
            for name, value in fields.items():
                target = message.header if name == 'frame_id' else message
                if hasattr(target, name):
                    setattr(target, name, value)
        return topic, message

    return change


def transforms(topic: str, factor: float) -> Change:
    """Transforms that are longer by a factor."""

    def change(name: str, message: Message) -> tuple[str, Message]:
        for part in message.transforms if name == topic else ():
            offset = part.transform.translation
            offset.x, offset.y, offset.z = factor * offset.x, factor * offset.y, factor * offset.z
        return name, message

    return change


def in_body_frames(topic: str, message: Message) -> tuple[str, Message]:
    """The cameras' frames have x forward and z up."""
    for part in getattr(message, 'transforms', ()):
        if part.child_frame_id != 'base_link':
            turn = part.transform.rotation
            turn.x, turn.y, turn.z, turn.w = 0.0, 0.0, 0.0, 1.0
    return topic, message


def in_a_base_with_z_down(topic: str, message: Message) -> tuple[str, Message]:
    """The vehicle's frame has x forward and z down, as aircraft's have."""
    for part in getattr(message, 'transforms', ()):
        if part.child_frame_id != 'base_link':
            turn = part.transform.rotation
            turn.x, turn.y, turn.z, turn.w = turn.w, -turn.z, turn.y, -turn.x
    return topic, message


def at(sec: int, nanosec: int) -> Change:
    """CAM_BACK's images at that time."""

    def change(topic: str, message: Message) -> tuple[str, Message]:
        if topic == BACK:
            message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
        return topic, message

    return change


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (transforms('/tf', 1e20), "transform 'map' -> 'base_link' is"),
        (transforms('/tf_static', 1e28), 'm long, beyond every map'),
        (
            transforms('/tf_static', 1000.0),
            "m from 'base_link': its frame 'CAM_FRONT_LEFT' is not on the vehicle, or not in metres",
        ),
        (
            in_body_frames,
            "CAM_FRONT_LEFT would look at the sky: z of its frame 'CAM_FRONT_LEFT' points up in 'base_link'",
        ),
        (in_a_base_with_z_down, "CAM_FRONT_LEFT would stand on its head: y of its frame 'CAM_FRONT_LEFT' points up in"),
        (back_camera(frame_id='CAM_FRONT'), "frame_id 'CAM_FRONT' is the frame of CAM_FRONT"),
        (back_camera(frame_id='a\nb\x1b'), r"frame 'a b\x1b' is in no transform"),
        (back_camera(p=np.full(12, np.nan)), 'the intrinsic matrix P is not finite'),
        (at(-1, 0), 'a stamp of -1 s and 0 ns is no time'),
        (at(5, 2 * 10**9), 'a stamp of 5 s and 2000000000 ns'),
        (at(0, 0), 'from CAM_BACK (nearest: -1600000060'),
    ],
    ids=[
        'far',
        'far mounting',
        'millimetres',
        'body frames',
        'aircraft',
        'frame twice',
        'odd frame',
        'nan',
        'before 1970',
        'nanoseconds',
        'zero',
    ],
)
def test_what_nobody_can_believe_gives_no_grid(replay_edited: Callable[..., Any], change: Change, said: str) -> None:
    done = replay_edited(change)
    assert done.stamps == []
    assert any(said in line for line in [done.error, *done.warnings]), (done.error, done.warnings)
    assert all(line.isprintable() for line in [done.error, *done.warnings])
