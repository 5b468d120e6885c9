"""Poses from tf2's own buffer are those of the built-in tree, for a drive that is played once and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.inputs import TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    TransformTree,
    UnknownFrameError,
)
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.transforms import Tf2Transforms, tf2_is_wanted
from gdfusion_ros.settings import PipelineSettings

pytest.importorskip('tf2_ros', reason="ROS 2's tf2 is not installed")

SECOND = 10**9


@pytest.fixture
def messages(drive: Path) -> list[tuple[str, Any]]:
    with bag_reader(drive) as bag:
        return [(topic, deserialize_message(bytes(data), message_class(TF_TYPE)))
                for topic, _, _, data in bag.raw_messages([TF_TOPIC, TF_STATIC_TOPIC])]


def stamps(messages: list[tuple[str, Any]]) -> list[int]:
    return [transform.stamp for topic, message in messages if topic == TF_TOPIC
            for transform in decode.transforms(message, topic)[0]]


def fill(tf2: Tf2Transforms, messages: list[tuple[str, Any]]) -> None:
    for topic, message in messages:
        tf2.add(message, static=topic == TF_STATIC_TOPIC)


def own_tree(messages: list[tuple[str, Any]]) -> TransformTree:
    tree = TransformTree(10 * SECOND)
    for topic, message in messages:
        for transform in decode.transforms(message, topic)[0]:
            (tree.set_static if topic == TF_STATIC_TOPIC else tree.set)(transform)
    return tree


def test_auto_takes_tf2_where_it_is_installed() -> None:
    assert [tf2_is_wanted(source) for source in ('auto', 'tf2', 'own')] == [True, True, False]


def test_poses_are_those_of_the_own_tree_in_every_loop(messages: list[tuple[str, Any]]) -> None:
    tf2, own = Tf2Transforms(PipelineSettings(tf_history=0.5)), own_tree(messages)
    for _ in range(2):
        for topic, message in messages:
            tf2.add(message, static=topic == TF_STATIC_TOPIC)
            for stamp in stamps([(topic, message)]):
                for target, source in (('map', 'base_link'), ('map', 'CAM_BACK'), ('CAM_FRONT', 'CAM_BACK')):
                    np.testing.assert_allclose(tf2.lookup(target, source, stamp, 0), own.lookup(target, source, stamp),
                                               rtol=0, atol=1e-9)


def test_what_cannot_be_told_is_told_apart(messages: list[tuple[str, Any]]) -> None:
    tf2, times = Tf2Transforms(PipelineSettings()), stamps(messages)
    fill(tf2, messages)
    with pytest.raises(AfterSpanError):
        tf2.lookup('map', 'CAM_BACK', max(times) + 1, 0)
    with pytest.raises(BeforeSpanError):
        tf2.lookup('map', 'CAM_BACK', min(times) - 1, 0)
    with pytest.raises(UnknownFrameError):
        tf2.lookup('map', 'CAM_ROOF', min(times), 0)
    tf2.clear()
    assert tf2.lookup('base_link', 'CAM_BACK', min(times), 0).shape == (4, 4)
    with pytest.raises((UnknownFrameError, DisconnectedError)):
        tf2.lookup('map', 'CAM_BACK', min(times), 0)
