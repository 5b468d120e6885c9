"""Where cameras and grid are: at their own stamps, held, masked, in the frame of a LiDAR, from another tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.poses import inverse, pose_matrix
from gdfusion_ros.perception.transforms import AfterSpanError, TransformTree
from gdfusion_ros.perception.types import CameraModel, Matrix, StampedTransform, nanoseconds

Make = Callable[..., FrameAssembler]


def test_every_camera_is_placed_at_its_own_stamp(make_assembler: Make, street: Any) -> None:
    (posed,) = street.send(make_assembler(), street.run([10.0]))
    assert posed.camera_set.stamp == nanoseconds(10.0)
    assert tuple(posed.cameras) == street.cameras
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.0)))
    np.testing.assert_array_equal(posed.history_pose, posed.grid.fixed_from_grid)
    for (camera, place), mounting in zip(posed.cameras.items(), street.mountings(), strict=True):
        stamp = posed.camera_set.images[camera].stamp
        np.testing.assert_allclose(place.fixed_from_ego, pose_matrix(*street.pose(stamp / 1e9)), atol=1e-6)
        np.testing.assert_array_equal(place.ego_from_camera, pose_matrix(mounting.translation, mounting.rotation))
        assert place.model is street.model
    assert (posed.completed, posed.placed) == (10.035, 10.035)


def test_the_way_from_one_frame_to_the_next_is_that_of_the_vehicle(make_assembler: Make, street: Any) -> None:
    first, second = street.send(make_assembler(), street.run([10.0, 10.5]))
    moved = inverse(first.grid.fixed_from_grid) @ second.grid.fixed_from_grid
    expected = inverse(pose_matrix(*street.pose(10.0))) @ pose_matrix(*street.pose(10.5))
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_a_changed_calibration_holds_from_then_on(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    first = street.send(assembler, street.run([10.0]))
    other = CameraModel(32, 24, np.diag([20.0, 20.0, 1.0]))
    messages = [message for message in street.run([10.5]) if not message.topic.endswith('/info')]
    second = street.send(assembler, [street.info_message('left', 10.4, other), *messages])
    assert first[0].cameras['left'].model is street.model
    assert second[0].cameras['left'].model is other
    assert second[0].cameras['front'].model is street.model


def test_images_that_wait_keep_the_calibration_that_they_came_with(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler()
    messages = street.run([10.0])
    late = [message for message in messages if message.topic == '/tf']
    assert late
    assert street.send(assembler, [message for message in messages if message.topic != '/tf']) == []
    (posed,) = street.send(
        assembler, [street.info_message('left', 10.2, CameraModel(64, 48, 2 * street.model.intrinsics)), *late]
    )
    assert posed.cameras['left'].model is street.model


def test_a_held_image_is_placed_where_it_was_taken(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='hold')
    messages = [message for message in street.run([10.0, 10.5, 11.0]) if message.topic != 'back' or message.time < 10.2]
    sets = street.send(assembler, messages)
    assembler.flush()
    sets += street.taken(assembler)
    assert [posed.camera_set.held for posed in sets] == [(), ('back',), ('back',)]
    for posed in sets:
        np.testing.assert_allclose(posed.cameras['back'].fixed_from_ego, pose_matrix(*street.pose(10.035)), atol=1e-9)


def test_a_masked_camera_is_where_it_was_mounted(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask')
    messages = [message for message in street.run([10.0, 10.5, 11.0]) if message.topic != 'back' or message.time < 10.2]
    sets = street.send(assembler, messages)
    assembler.flush()
    before, masked = sets[0], street.taken(assembler)[0]
    assert masked.camera_set.masked == ('back',)
    np.testing.assert_array_equal(masked.cameras['back'].ego_from_camera, before.cameras['back'].ego_from_camera)
    np.testing.assert_array_equal(masked.cameras['back'].fixed_from_ego, masked.grid.fixed_from_grid)


def test_a_camera_that_was_never_there_stands_where_the_reference_camera_is(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(missing_camera='mask')
    street.send(assembler, [message for message in street.run([10.0]) if not message.topic.startswith('back')])
    assembler.flush()
    (posed,) = street.taken(assembler)
    np.testing.assert_array_equal(posed.cameras['back'].ego_from_camera, posed.cameras['front'].ego_from_camera)
    assert posed.cameras['back'].model is posed.cameras['front'].model


def test_the_history_pose_may_belong_to_another_stamp(make_assembler: Make, street: Any) -> None:
    stamps = {nanoseconds(10.0): nanoseconds(10.036)}
    assembler = make_assembler(history_stamp=stamps.get)
    (posed,) = street.send(assembler, street.run([10.0, 10.5]))
    np.testing.assert_array_equal(posed.history_pose, pose_matrix(*street.pose(10.036)))
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.0)))
    assert posed.placed == pytest.approx(10.036), 'the set waits for that pose'
    assert street.drops(assembler) == {'history_pose': 1}


def test_the_grid_may_lie_in_the_frame_of_a_lidar_at_its_stamp(make_assembler: Make, street: Any) -> None:
    lidar = StampedTransform('base_link', 'lidar', 0, (0.9, 0.0, 1.8), (0.0, 0.0, -math.sqrt(0.5), math.sqrt(0.5)))
    assembler = make_assembler(history_stamp=lambda stamp: stamp + nanoseconds(0.036), grid_frame='lidar')
    assembler.add_transforms([lidar], 0.0, static=True)
    (posed,) = street.send(assembler, street.run([10.0]))
    assert (posed.grid.frame_id, posed.grid.stamp, posed.grid.height) == ('lidar', nanoseconds(10.036), 1.8)
    mounting = pose_matrix(lidar.translation, lidar.rotation)
    np.testing.assert_allclose(posed.grid.fixed_from_grid, pose_matrix(*street.pose(10.036)) @ mounting, atol=1e-9)
    np.testing.assert_array_equal(posed.history_pose, pose_matrix(*street.pose(10.036)))


def test_a_set_waits_for_the_mounting_of_the_lidar(make_assembler: Make, street: Any) -> None:
    assembler = make_assembler(grid_frame='lidar')
    assert street.send(assembler, street.run([10.0])) == []
    assembler.add_transforms(
        [StampedTransform('base_link', 'lidar', 0, (0.9, 0.0, 1.8), (0.0, 0.0, 0.0, 1.0))], 11.0, static=True
    )
    (posed,) = street.taken(assembler)
    assert posed.grid.stamp == nanoseconds(10.0)


class Elsewhere(TransformTree):
    """Like tf2's buffer: another tree."""

    there = False

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        if not self.there:
            raise AfterSpanError('not yet')
        return np.eye(4) if target == 'map' else super().lookup(target, source, stamp)


def test_poses_may_come_from_another_tree(make_assembler: Make, street: Any) -> None:
    trees: list[Elsewhere] = []

    def make_tree(history: int) -> Elsewhere:
        trees.append(Elsewhere(history))
        return trees[-1]

    assembler = make_assembler(make_tree=make_tree, tf_history=7.0)
    assert street.send(assembler, street.run([10.0])) == []
    for tree in trees:
        tree.there = True
    assembler.poll(10.2)
    (posed,) = street.taken(assembler)
    np.testing.assert_array_equal(posed.grid.fixed_from_grid, np.eye(4))
    assert trees[0]._history == nanoseconds(7.0)
    assembler.clear()
    assert street.send(assembler, street.run([20.0])) == [], 'a new tree'
    assert len(trees) == 2
