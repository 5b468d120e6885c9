"""The bird's-eye view in parts: whoever has the last whole map and the last update has the present map."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.messages.bev import Bev
from gdfusion_ros.messages.bev_updates import UPDATE_TYPE, BevUpdates
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import NANOSECONDS, GridPose, SemanticGrid
from gdfusion_ros.settings import BevSettings

FIXED = BevSettings(bev_frame='fixed')
CAR, ROAD = (OCC3D_NUSCENES.by_name(name).id for name in ('car', 'driveable_surface'))


class Fields:
    """Messages of any type as their fields alone: no wheel of ROS 2 has map_msgs."""

    def __call__(self, type_name: str, **fields: object) -> Message:
        return SimpleNamespace(type_name=type_name, **fields)

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        return values


MAKE = Fields()


class Subscriber:
    """Puts together what comes, as the static layer of Nav2 does."""

    def __init__(self) -> None:
        self.cells: NDArray[np.int8] = np.zeros((0, 0), np.int8)

    def take(self, message: Message | None) -> None:
        if message is None:
            return
        if message.type_name == UPDATE_TYPE:
            part = message.data.reshape(message.height, message.width)
            self.cells[message.y : message.y + message.height, message.x : message.x + message.width] = part
        else:
            self.cells = message.data.reshape(message.info.height, message.info.width).copy()


def road(scene: SemanticGrid, number: int, *cars: tuple[int, int], x: float = 0.0) -> SemanticGrid:
    """Frame ``number``: level road with cars at some of 10 x 8 columns, when the vehicle was at ``x`` [m]."""
    labels = np.full((10, 8, 3), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:, :, 0] = ROAD
    for place in cars:
        labels[(*place, slice(1, None))] = CAR
    pose = np.eye(4)
    pose[0, 3] = x
    return dataclasses.replace(scene, stamp=number * NANOSECONDS, labels=labels, pose=GridPose('map', pose))


def expected(grid: SemanticGrid) -> NDArray[np.int8]:
    message = Bev(FIXED).message(grid, MAKE)
    return np.asarray(message.data.reshape(message.info.height, message.info.width))


def test_the_first_map_comes_whole_and_then_what_changed(scene: SemanticGrid) -> None:
    parts = BevUpdates(Bev(FIXED))
    first, second = road(scene, 1, (2, 3)), road(scene, 2, (3, 3))
    whole = parts.message(first, MAKE)
    assert whole is not None
    assert whole.type_name == 'nav_msgs/msg/OccupancyGrid'
    assert parts.update(first, MAKE) is None
    assert parts.message(second, MAKE) is None
    update = parts.update(second, MAKE)
    assert update is not None
    assert (update.width, update.height) == (2, 1), 'where the car was, and where it is'
    assert update.data.tolist() == [0, 100]
    assert (update.header.frame_id, update.header.stamp.sec) == ('map', 2)
    third = parts.update(road(scene, 3, (2, 3)), MAKE)
    assert third is not None
    assert third.data.tolist() == [100, 0], 'as at first, but some have the second'


def test_without_a_change_nothing_is_sent(scene: SemanticGrid) -> None:
    parts = BevUpdates(Bev(FIXED))
    parts.message(road(scene, 1), MAKE)
    again = road(scene, 2)
    assert parts.message(again, MAKE) is None
    assert parts.update(again, MAKE) is None


def test_a_map_that_lies_elsewhere_comes_whole(scene: SemanticGrid) -> None:
    parts = BevUpdates(Bev(FIXED))
    parts.message(road(scene, 1), MAKE)
    moved = road(scene, 2, x=0.5)
    assert parts.update(moved, MAKE) is None, 'of a map that nobody has'
    whole = parts.message(moved, MAKE)
    assert whole is not None
    assert whole.data.tolist() == expected(moved).ravel().tolist()


def test_where_much_has_changed_the_map_comes_whole_and_updates_are_small_again(scene: SemanticGrid) -> None:
    parts = BevUpdates(Bev(FIXED))
    parts.message(road(scene, 1), MAKE)
    corners = road(scene, 2, (0, 0), (9, 7))
    assert parts.message(corners, MAKE) is None, 'nobody knows before the update is made'
    update = parts.update(corners, MAKE)
    assert update is not None
    assert (update.width, update.height) == (10, 8), 'more than a quarter of the 15 x 15 cells'
    after = road(scene, 3, (0, 0), (9, 7))
    assert parts.message(after, MAKE) is not None
    assert parts.update(after, MAKE) is None


@pytest.mark.parametrize('seed', range(5))
def test_whatever_is_lost_the_last_update_mends(scene: SemanticGrid, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts, always, seldom = BevUpdates(Bev(FIXED)), Subscriber(), Subscriber()
    x, late = 0.0, False
    for number in range(1, 60):
        x += random.choice([0.0, 0.0, 0.0, 0.0, 0.5])
        cars = [(int(random.integers(10)), int(random.integers(8))) for _ in range(random.integers(3))]
        grid = road(scene, number, *cars, x=x)
        whole, update = parts.message(grid, MAKE), parts.update(grid, MAKE)
        for subscriber in (always, seldom):
            subscriber.take(whole)
        always.take(update)
        assert np.array_equal(always.cells, expected(grid))
        if random.random() < 0.3:  # else the update was lost
            seldom.take(update)
            late |= update is not None
            assert update is None or np.array_equal(seldom.cells, expected(grid))
    assert late, 'some updates came after others that did not'
