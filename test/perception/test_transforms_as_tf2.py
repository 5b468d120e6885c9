"""The own transform tree against tf2 itself, where ROS 2's tf2 is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdfusion_ros.messages.decode import transform
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    TransformError,
    TransformTree,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import NANOSECONDS

tf2 = pytest.importorskip('tf2_py', reason="ROS 2's tf2 is not installed")

START = 1_500_000_000 * NANOSECONDS
SAME_ERRORS: dict[str, set[type[TransformError]]] = {
    'LookupException': {UnknownFrameError},
    'ExtrapolationException': {AfterSpanError, BeforeSpanError},
}


def stamped(parent: str, child: str, stamp: int, rng: np.random.Generator) -> Any:
    from geometry_msgs.msg import TransformStamped

    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, NANOSECONDS)
    rotation = rng.normal(size=4)
    for part, names, values in (
        ('translation', 'xyz', 10 * rng.normal(size=3)),
        ('rotation', 'xyzw', rotation / np.linalg.norm(rotation)),
    ):
        for name, value in zip(names, values, strict=True):
            setattr(getattr(message.transform, part), name, float(value))
    return message


@pytest.fixture
def both() -> tuple[TransformTree, Any]:
    """The own tree and tf2's buffer with the same transforms: two timed edges out of step, two cameras."""
    from rclpy.duration import Duration

    rng = np.random.default_rng(0)
    own, buffer = TransformTree(10 * NANOSECONDS), tf2.BufferCore(Duration(seconds=10))
    for camera in ('CAM_A', 'CAM_B'):
        message = stamped('base_link', camera, 0, rng)
        own.set_static(transform(message, '/tf_static'))
        buffer.set_transform_static(message, 'test')
    for step in range(40):
        for message in (
            stamped('odom', 'base_link', START + step * 50_000_000 + int(rng.integers(20_000_000)), rng),
            stamped('map', 'odom', START + step * 100_000_000, rng),
        ):
            own.set(transform(message, '/tf'))
            buffer.set_transform(message, 'test')
    return own, buffer


def own_answer(tree: TransformTree, target: str, source: str, stamp: int) -> Any:
    """The matrix, or the class of the error."""
    try:
        return tree.lookup(target, source, stamp)
    except TransformError as error:
        return type(error)


def answer_of_tf2(buffer: Any, target: str, source: str, stamp: int) -> Any:
    """The matrix, or the class of the error."""
    from rclpy.time import Time

    try:
        found = buffer.lookup_transform_core(target, source, Time(nanoseconds=stamp)).transform
    except tf2.TransformException as error:
        return type(error)
    translation, rotation = found.translation, found.rotation
    return pose_matrix((translation.x, translation.y, translation.z), (rotation.x, rotation.y, rotation.z, rotation.w))


def test_lookups_and_errors_are_those_of_tf2(both: tuple[TransformTree, Any]) -> None:
    rng = np.random.default_rng(1)
    frames = ('map', 'odom', 'base_link', 'CAM_A', 'CAM_B', 'nowhere')
    seen: set[object] = set()
    for _ in range(1000):
        target, source = (str(frame) for frame in rng.choice(frames, 2))
        stamp = START + int(rng.integers(-300_000_000, 2_600_000_000))
        own, expected = own_answer(both[0], target, source, stamp), answer_of_tf2(both[1], target, source, stamp)
        if isinstance(own, np.ndarray):
            np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12)
        else:
            assert own in SAME_ERRORS[expected.__name__]
        seen.add(own if isinstance(own, type) else np.ndarray)
    assert seen == {UnknownFrameError, AfterSpanError, BeforeSpanError, np.ndarray}


def test_samples_with_one_stamp_mean_what_they_mean_to_tf2() -> None:
    from rclpy.duration import Duration

    rng = np.random.default_rng(2)
    own, buffer = TransformTree(10 * NANOSECONDS), tf2.BufferCore(Duration(seconds=10))
    for step in (0, 0, 1, 1, 1, 2, 3, 3):
        message = stamped('map', 'base_link', START + step * 100_000_000, rng)
        own.set(transform(message, '/tf'))
        buffer.set_transform(message, 'test')
    for offset in range(0, 301, 25):
        question = 'map', 'base_link', START + offset * 1_000_000
        np.testing.assert_allclose(own_answer(own, *question), answer_of_tf2(buffer, *question), rtol=0, atol=1e-12)
