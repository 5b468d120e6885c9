"""Poses from tf2's own buffer are those of the built-in tree, for a drive that is played once and again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.inputs import TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.perception.epochs import EpochClock
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    EpochTransforms,
    TransformTree,
    Tree,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import StampedTransform
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.transforms import Tf2Tree, tf2_is_wanted

pytest.importorskip('tf2_ros', reason="ROS 2's tf2 is not installed")

SECOND = 10**9


Sent = tuple[str, StampedTransform]


@pytest.fixture
def sent(drive: Path) -> list[Sent]:
    """Topic and transform, as the drive has them."""
    with bag_reader(drive) as bag:
        messages = [
            (topic, deserialize_message(bytes(data), message_class(TF_TYPE)))
            for topic, _, _, data in bag.raw_messages([TF_TOPIC, TF_STATIC_TOPIC])
        ]
    return [(topic, transform) for topic, message in messages for transform in decode.transforms(message, topic)[0]]


def stamps(sent: list[Sent]) -> list[int]:
    return [transform.stamp for topic, transform in sent if topic == TF_TOPIC]


def fill(tree: Tree | EpochTransforms, sent: list[Sent]) -> None:
    for topic, transform in sent:
        (tree.set_static if topic == TF_STATIC_TOPIC else tree.set)(transform)


def test_auto_takes_tf2_where_it_is_installed() -> None:
    assert [tf2_is_wanted(source) for source in ('auto', 'tf2', 'own')] == [True, True, False]


def test_poses_are_those_of_the_own_tree_in_every_loop(sent: list[Sent]) -> None:
    trees = [
        EpochTransforms(EpochClock(SECOND // 4, lambda: 0.0), 'base_link', partial(make_tree, SECOND // 2))
        for make_tree in (Tf2Tree, TransformTree)
    ]
    for epoch in range(2):
        for topic, transform in sent:
            for tree in trees:
                fill(tree, [(topic, transform)])
            if topic == TF_TOPIC:
                for target, source in (('map', 'base_link'), ('map', 'CAM_BACK'), ('CAM_FRONT', 'CAM_BACK')):
                    of_tf2, own = (tree.lookup(target, source, transform.stamp, epoch) for tree in trees)
                    np.testing.assert_allclose(of_tf2, own, rtol=0, atol=1e-9)


def test_what_cannot_be_told_is_told_apart(sent: list[Sent]) -> None:
    tree, times = Tf2Tree(10 * SECOND), stamps(sent)
    fill(tree, sent)
    with pytest.raises(AfterSpanError):
        tree.lookup('map', 'CAM_BACK', max(times) + 1)
    with pytest.raises(BeforeSpanError):
        tree.lookup('map', 'CAM_BACK', min(times) - 1)
    with pytest.raises(UnknownFrameError):
        tree.lookup('map', 'CAM_ROOF', min(times))
    tree.forget('base_link')
    assert tree.lookup('base_link', 'CAM_BACK', min(times)).shape == (4, 4)
    with pytest.raises((UnknownFrameError, DisconnectedError)):
        tree.lookup('map', 'CAM_BACK', min(times))


def test_zero_is_a_stamp_like_others(sent: list[Sent]) -> None:
    tree = Tf2Tree(10 * SECOND)
    fill(tree, sent)
    with pytest.raises(BeforeSpanError):
        tree.lookup('map', 'CAM_BACK', 0)
