"""Replays of bags in which frames, poses or clocks are not what they should be: refused by name, or of no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.settings import TopicSettings

BACK = '/CAM_BACK/image/compressed'
FRONT = '/CAM_FRONT/image/compressed'


@pytest.mark.parametrize(('frame', 'name'), [('base_link', 'base_frame'), ('/base_link', 'base_frame'),
                                             ('map', 'fixed_frame')])
def test_an_image_in_the_vehicles_own_frame_is_refused(replay_edited: Callable[..., Any], frame: str,
                                                       name: str) -> None:
    def change(topic: str, message: Message) -> tuple[str, Message]:
        if topic == BACK:
            message.header.frame_id = frame
        return topic, message

    done = replay_edited(change)
    assert 'gives no grid' in done.error
    line, = done.warnings
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


@pytest.mark.parametrize(('change', 'reason'), [
    (moved(SECOND_SET - 100_000_000, turned=True), 'ego_turn'), (moved(SECOND_SET - 100_000_000, 60.0), 'ego_jump'),
    (moved(SECOND_SET - 100_000_000, 1.0), '')])
def test_a_jump_between_two_sets_resets_the_memory(replay_edited: Callable[..., Any], change: Any, reason: str) -> None:
    result = replay_edited(change).result
    assert result.counts.grids == 3
    assert result.counts.resets == ({reason: 1} if reason else {})


@pytest.mark.parametrize(('change', 'grids'), [
    (moved(SECOND_SET + 10_000_000, 60.0), 2), (moved(SECOND_SET + 10_000_000, turned=True), 2),
    (moved(SECOND_SET + 10_000_000, 0.3), 3)])
def test_a_jump_within_a_set_costs_that_set(replay_edited: Callable[..., Any], change: Any, grids: int) -> None:
    counts = replay_edited(change).result.counts
    assert counts.grids == grids
    assert counts.sets_dropped == ({'ego_jump': 1} if grids < 3 else {})
    assert ("the pose of 'base_link' in 'map' jumps by" in counts.last_drop) is (grids < 3)
