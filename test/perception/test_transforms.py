"""The tree of frames: what tf2 gives for the same transforms is written out from its definition."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from gdfusion_ros.perception.epochs import EpochClock
from gdfusion_ros.perception.poses import inverse, pose_matrix
from gdfusion_ros.perception.transforms import (
    AfterSpanError,
    BeforeSpanError,
    DisconnectedError,
    EpochTransforms,
    TransformError,
    TransformTree,
    UnknownFrameError,
)
from gdfusion_ros.perception.types import Matrix, StampedTransform, nanoseconds

S = nanoseconds(1.0)


def turned(
    parent: str, child: str, stamp: int, x: float = 0.0, yaw: float = 0.0, roll: float = 0.0
) -> StampedTransform:
    rotation = tuple(Rotation.from_euler('xz', [roll, yaw]).as_quat())
    return StampedTransform(parent, child, stamp, (x, 2 * x, -x), rotation)


def matrix(transform: StampedTransform) -> Matrix:
    return pose_matrix(transform.translation, transform.rotation)


@pytest.fixture
def tree() -> TransformTree:
    return TransformTree(history=10 * S)


def test_a_static_transform_holds_at_every_stamp(tree: TransformTree) -> None:
    mounting = turned('base_link', 'CAM_FRONT', 5 * S, 1.5, 0.3)
    tree.set_static(mounting)
    for stamp in (0, 5 * S, 10**18):
        np.testing.assert_array_equal(tree.lookup('base_link', 'CAM_FRONT', stamp), matrix(mounting))
        np.testing.assert_allclose(tree.lookup('CAM_FRONT', 'base_link', stamp), inverse(matrix(mounting)), atol=1e-12)


def test_a_frame_is_where_it_is_in_itself(tree: TransformTree) -> None:
    np.testing.assert_array_equal(tree.lookup('anything', 'anything', 0), np.eye(4))


def test_a_timed_transform_is_exact_at_its_stamps(tree: TransformTree) -> None:
    samples = [turned('map', 'base_link', index * S, index, 0.1 * index) for index in range(4)]
    for sample in samples:
        tree.set(sample)
    for sample in samples:
        np.testing.assert_array_equal(tree.lookup('map', 'base_link', sample.stamp), matrix(sample))


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1.5, 1.5), st.integers(1, S - 1))
def test_between_samples_it_is_lerp_and_slerp(yaw0: float, yaw1: float, roll: float, offset: int) -> None:
    tree = TransformTree(history=10 * S)
    start, end = turned('map', 'base_link', S, 1.0, yaw0, roll), turned('map', 'base_link', 2 * S, 4.0, yaw1, -roll)
    tree.set(start)
    tree.set(end)
    ratio = offset / S
    found = tree.lookup('map', 'base_link', S + offset)
    rotations = Slerp([0, 1], Rotation.from_quat([start.rotation, end.rotation]))
    np.testing.assert_allclose(found[:3, :3], rotations([ratio]).as_matrix()[0], atol=1e-6)
    np.testing.assert_allclose(found[:3, 3], np.array([1.0, 2.0, -1.0]) * (1 + 3 * ratio), atol=1e-12)


def test_a_quarter_of_the_way(tree: TransformTree) -> None:
    # By hand: yaw goes from -60 to 100 degrees, a quarter of which is 40 degrees.
    tree.set(turned('map', 'base_link', 0, 0.0, np.deg2rad(-60)))
    tree.set(turned('map', 'base_link', 4 * S, 8.0, np.deg2rad(100)))
    found = tree.lookup('map', 'base_link', S)
    c, s = np.cos(np.deg2rad(-20)), np.sin(np.deg2rad(-20))
    np.testing.assert_allclose(found, [[c, -s, 0, 2], [s, c, 0, 4], [0, 0, 1, -2], [0, 0, 0, 1]], atol=1e-12)


def test_samples_out_of_order_are_sorted_in(tree: TransformTree) -> None:
    for stamp in (4, 1, 3, 2):
        tree.set(turned('map', 'base_link', stamp * S, float(stamp)))
    assert tree.lookup('map', 'base_link', nanoseconds(2.5))[0, 3] == pytest.approx(2.5)
    assert tree.lookup('map', 'base_link', nanoseconds(1.5))[0, 3] == pytest.approx(1.5)


def test_of_two_samples_with_one_stamp_the_last_counts(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', S, 1.0))
    tree.set(turned('map', 'base_link', S, 7.0))
    assert tree.lookup('map', 'base_link', S)[0, 3] == 7.0


def test_chains_are_composed_up_and_down(tree: TransformTree) -> None:
    edges = [
        turned('map', 'odom', S, 3.0, 0.5),
        turned('odom', 'base_link', S, -1.0, 1.1, 0.2),
        turned('base_link', 'left', S, 0.4, -0.7),
        turned('odom', 'right', S, 0.9, 0.3, 0.1),
    ]
    for edge in edges:
        tree.set(edge)
    to_odom, to_base, to_left, to_right = map(matrix, edges)
    np.testing.assert_allclose(tree.lookup('map', 'left', S), to_odom @ to_base @ to_left, atol=1e-12)
    np.testing.assert_allclose(tree.lookup('right', 'left', S), inverse(to_right) @ to_base @ to_left, atol=1e-12)
    np.testing.assert_allclose(
        tree.lookup('left', 'right', S), inverse(to_left) @ inverse(to_base) @ to_right, atol=1e-12
    )


def test_what_lies_above_the_common_parent_is_not_needed(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', S, 1.0))
    tree.set_static(turned('base_link', 'left', 0, 2.0))
    tree.set_static(turned('base_link', 'right', 0, 5.0))
    assert tree.lookup('left', 'right', 100 * S)[0, 3] == pytest.approx(3.0)


def test_a_frame_may_change_its_parent(tree: TransformTree) -> None:
    tree.set(turned('floor', 'box', S, 1.0))
    tree.set(turned('gripper', 'box', 3 * S, 9.0))
    assert tree.lookup('floor', 'box', 2 * S)[0, 3] == 1.0, 'tf2 holds the older sample until the parent changes'
    assert tree.lookup('gripper', 'box', 3 * S)[0, 3] == 9.0
    with pytest.raises(DisconnectedError):
        tree.lookup('floor', 'box', 3 * S)


def test_the_newest_kind_of_a_transform_replaces_the_other(tree: TransformTree) -> None:
    tree.set_static(turned('base_link', 'lidar', 0, 1.0))
    tree.set(turned('base_link', 'lidar', S, 2.0))
    with pytest.raises(AfterSpanError):
        tree.lookup('base_link', 'lidar', 2 * S)
    tree.set_static(turned('base_link', 'lidar', 0, 3.0))
    assert tree.lookup('base_link', 'lidar', 2 * S)[0, 3] == 3.0


def test_nothing_is_extrapolated(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', 2 * S))
    for stamp, error in ((S, BeforeSpanError), (3 * S, AfterSpanError)):
        with pytest.raises(error, match='base_link'):
            tree.lookup('map', 'base_link', stamp)
    assert AfterSpanError.may_heal
    assert not BeforeSpanError.may_heal


def test_the_history_is_bounded(tree: TransformTree) -> None:
    for stamp in range(13):
        tree.set(turned('map', 'base_link', stamp * S, float(stamp)))
    assert tree.lookup('map', 'base_link', 2 * S)[0, 3] == 2.0
    with pytest.raises(BeforeSpanError, match='tf_history'):
        tree.lookup('map', 'base_link', 2 * S - 1)


def test_an_unknown_frame_is_named(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', S))
    with pytest.raises(UnknownFrameError, match='CAM_BACK'):
        tree.lookup('base_link', 'CAM_BACK', S)
    with pytest.raises(UnknownFrameError, match='odom'):
        tree.lookup('odom', 'base_link', S)


def test_frames_without_a_way_between_them_are_named(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', S))
    tree.set(turned('world', 'drone', S))
    with pytest.raises(DisconnectedError, match=r"'drone'.*'base_link'"):
        tree.lookup('base_link', 'drone', S)


def test_where_two_chains_end_is_said(tree: TransformTree) -> None:
    """A frame with two parents, by turns: each is there only until the other is told."""
    tree.set_static(turned('base_link', 'CAM_FRONT', 0))
    for index in range(6):
        tree.set(turned('odom' if index % 2 else 'map', 'base_link', index * S))
    with pytest.raises(DisconnectedError, match="above them are 'odom' and 'map'; has a frame two parents"):
        tree.lookup('map', 'CAM_FRONT', 3 * S)


def test_a_mounting_that_was_told_once_on_tf_gets_an_advice(tree: TransformTree) -> None:
    tree.set(turned('base_link', 'CAM_FRONT', S))
    with pytest.raises(AfterSpanError, match=r'of 1.0+; what never moves belongs on /tf_static'):
        tree.lookup('base_link', 'CAM_FRONT', 2 * S)
    tree.set(turned('base_link', 'CAM_FRONT', 2 * S))
    with pytest.raises(AfterSpanError, match=r'of 2.0+$'):
        tree.lookup('base_link', 'CAM_FRONT', 3 * S)


def test_a_circle_is_an_error_and_not_an_endless_walk(tree: TransformTree) -> None:
    tree.set(turned('a', 'b', S))
    tree.set(turned('b', 'a', S))
    tree.set(turned('x', 'c', S))
    with pytest.raises(DisconnectedError, match='circle'):
        tree.lookup('c', 'a', S)


def test_forget_drops_what_is_timed_of_one_frame(tree: TransformTree) -> None:
    tree.set(turned('map', 'base_link', S))
    tree.set(turned('base_link', 'gimbal', 9 * S))
    tree.forget('gimbal')
    with pytest.raises(TransformError):
        tree.lookup('base_link', 'gimbal', 9 * S)
    tree.set(turned('base_link', 'gimbal', S, 4.0))
    assert tree.lookup('base_link', 'gimbal', S)[0, 3] == 4.0
    assert tree.lookup('map', 'base_link', S).shape == (4, 4)


@pytest.fixture
def loops() -> EpochTransforms:
    """A bag of two seconds in its second run; the vehicle starts 100 m further on in it."""
    transforms = EpochTransforms(EpochClock(nanoseconds(0.25)), 'base_link', partial(TransformTree, 10 * S))
    transforms.set_static(turned('base_link', 'lidar', 0, 1.0))
    for epoch in range(2):
        for stamp in range(3):
            transforms.set(turned('map', 'base_link', stamp * S, 100.0 * epoch + stamp))
    return transforms


def test_runs_of_a_loop_are_kept_apart(loops: EpochTransforms) -> None:
    assert loops.lookup('map', 'base_link', nanoseconds(1.5), epoch=0)[0, 3] == pytest.approx(1.5)
    assert loops.lookup('map', 'base_link', nanoseconds(1.5), epoch=1)[0, 3] == pytest.approx(101.5)
    for epoch in range(2):
        assert loops.lookup('base_link', 'lidar', S, epoch)[0, 3] == 1.0


def test_frames_that_place_no_camera_restart_nothing() -> None:
    clock = EpochClock(nanoseconds(0.25))
    transforms = EpochTransforms(clock, 'base_link', partial(TransformTree, 10 * S))
    transforms.set_static(turned('base_link', 'CAM', 0, 1.0))
    for stamp in range(3):
        for child, parent in (('odom', 'map'), ('base_link', 'odom'), ('gimbal', 'base_link'), ('EYE', 'gimbal')):
            transforms.set(turned(parent, child, stamp * S, 1.0))
    for stamp in (2 * S, S, 2 * S, S):
        transforms.set(turned('map', 'pedestrian', stamp, 5.0))
        transforms.set(turned('gimbal', 'EYE', stamp, 1.0))
    assert clock.newest == 0, 'nobody looks through the eye yet'
    transforms.lookup('base_link', 'EYE', S, epoch=0)
    for child, parent in (('gimbal', 'base_link'), ('odom', 'map'), ('base_link', 'odom')):
        before = clock.newest
        transforms.set(turned(parent, child, 3 * S, 1.0))
        transforms.set(turned(parent, child, 0, 1.0))
        assert clock.newest == before + (child == 'odom'), 'the vehicle leads, and the others follow'


def test_a_run_before_the_last_is_forgotten(loops: EpochTransforms) -> None:
    loops.set(turned('map', 'base_link', 0, 200.0))
    assert loops.lookup('map', 'base_link', 0, epoch=2)[0, 3] == 200.0
    assert loops.lookup('map', 'base_link', 0, epoch=1)[0, 3] == 100.0
    with pytest.raises(UnknownFrameError):
        loops.lookup('map', 'base_link', 0, epoch=0)


def test_poses_of_the_next_run_may_heal(loops: EpochTransforms) -> None:
    with pytest.raises(TransformError) as caught:
        loops.lookup('map', 'base_link', S, epoch=2)
    assert caught.value.may_heal


def test_static_transforms_that_come_late_hold_in_every_run(loops: EpochTransforms) -> None:
    loops.set_static(turned('base_link', 'radar', 0, 4.0))
    for epoch in range(3):
        assert loops.lookup('base_link', 'radar', S, epoch)[0, 3] == 4.0


def test_clearing_the_runs_keeps_what_is_static(loops: EpochTransforms) -> None:
    loops.clear()
    assert loops.lookup('base_link', 'lidar', S, epoch=0)[0, 3] == 1.0
    with pytest.raises(TransformError):
        loops.lookup('map', 'base_link', S, epoch=0)


def test_two_samples_with_one_stamp_are_a_step_as_in_tf2(tree: TransformTree) -> None:
    for stamp, x in ((1, 10.0), (1, 11.0), (2, 20.0), (2, 99.0), (2, 22.0), (3, 30.0), (3, 33.0)):
        tree.set(turned('map', 'base_link', stamp * S, x))
    asked = {1.0: 10.0, 1.5: 15.5, 2.0: 22.0, 2.5: 26.0, 3.0: 33.0}
    assert {at: tree.lookup('map', 'base_link', nanoseconds(at))[0, 3] for at in asked} == pytest.approx(asked)


class CountingSet(set[str]):
    """A set that is not to be walked through."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError('all names were looked at')


def test_a_lookup_that_fails_costs_the_same_with_many_frames(loops: EpochTransforms) -> None:
    for index in range(40_000):
        loops.set(StampedTransform('map', f'box {index}', 2 * S, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    tree = loops._trees[1]
    assert isinstance(tree, TransformTree)
    tree._frames = CountingSet(tree._frames)
    with pytest.raises(UnknownFrameError, match='nowhere'):
        loops.lookup('map', 'nowhere', S, 1)
    with pytest.raises(AfterSpanError):
        loops.lookup('lidar', 'box 39999', 2 * S + 1, 1)


def test_a_chain_without_end_is_an_error(tree: TransformTree) -> None:
    for index in range(1100):
        tree.set(turned(str(index + 1), str(index), S))
    with pytest.raises(DisconnectedError, match='more than 1000 frames'):
        tree.lookup('1100', '0', S)
