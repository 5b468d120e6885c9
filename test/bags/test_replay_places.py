"""Replays of bags in which frames, poses or clocks are not what they should be: refused by name, or of no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gdfusion_ros.messages.factory import Message
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


def test_missing_transforms_are_named_by_the_topic_that_was_set(replay_edited: Callable[..., Any]) -> None:
    done = replay_edited(lambda topic, message: (topic, message), TopicSettings(tf_topic='/robot1/tf'))
    assert 'has no messages on /robot1/tf (' in done.error
