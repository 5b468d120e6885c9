"""Markers, as both libraries read their bytes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from gdfusion_ros.messages import cubes
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

CAR, ROAD, TREE = 4, 11, 16
MARKERS = 'visualization_msgs/msg/MarkerArray'


def read(grid: SemanticGrid, library: Any) -> list[Any]:
    """The markers of ``grid``; their bytes are those that the library itself would write."""
    data = cubes.markers(grid)
    message = library.deserialize(data, MARKERS)
    assert len(library.serialize(message, MARKERS)) == len(data)
    return list(message.markers)


def test_bytes_are_those_of_the_message(scene: SemanticGrid, libraries: tuple[Any, Any]) -> None:
    rosbags, _ = libraries
    data = cubes.markers(scene)
    assert rosbags.serialize(rosbags.deserialize(data, MARKERS), MARKERS) == data


def test_a_class_keeps_its_marker(scene: SemanticGrid, library: Any) -> None:
    full = {marker.id: marker for marker in read(scene, library)}
    empty = dataclasses.replace(scene, labels=np.full_like(scene.labels, OCC3D_NUSCENES.free))
    bare = {marker.id: marker for marker in read(empty, library)}
    assert full.keys() == bare.keys() == set(range(17))
    assert {marker.action for marker in bare.values()} == {2}
    assert {number for number, marker in full.items() if marker.action == 0} == {CAR, ROAD, TREE}
    assert all(marker.ns == bare[number].ns for number, marker in full.items())
    assert (full[CAR].ns, full[ROAD].ns) == ('car', 'driveable_surface')
    assert len(full[ROAD].points) == 6
    (car,) = full[CAR].points
    assert np.allclose((car.x, car.y, car.z), (0.25, 1.25, 0.4))
    assert np.allclose((full[CAR].color.r, full[CAR].color.g, full[CAR].color.b), (0, 150 / 255, 245 / 255))
    assert (full[CAR].scale.x, full[CAR].scale.y, full[CAR].scale.z) == (0.5, 0.5, 0.4)
    assert full[CAR].lifetime.sec == full[CAR].lifetime.nanosec == 0


def test_cubes_that_nobody_can_see_are_left_out(scene: SemanticGrid, library: Any) -> None:
    labels = np.full((5, 4, 3), CAR, np.uint8, order='F')
    block = dataclasses.replace(scene, labels=labels)
    car = next(marker for marker in read(block, library) if marker.id == CAR)
    assert len(car.points) == 5 * 4 * 3 - 3 * 2 * 1
    labels[2, 1, 2] = 17  # a hole in the top shows the voxel below it
    car = next(marker for marker in read(block, library) if marker.id == CAR)
    assert len(car.points) == 5 * 4 * 3 - 1 - 5
