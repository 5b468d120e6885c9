from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.bev import require_classes
from gdfusion_ros.messages.decode import semantic_grid
from gdfusion_ros.messages.factory import MessageFactory
from gdfusion_ros.messages.outputs import obstacles_output, outputs
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import BevSettings

CAR, ROAD, TREE = 4, 11, 16


@pytest.mark.parametrize('topic', ['occupancy', 'observed', 'points', 'markers', 'bev', 'obstacles'])
def test_both_libraries_build_the_same_message_and_read_it_from_each_other(
    scene: SemanticGrid, topic: str, libraries: tuple[Any, Any]
) -> None:
    rosbags, rclpy = libraries
    output = next(output for output in outputs(BevSettings()) if output.topic == topic)
    expected, name = rosbags.serialize(output.build(scene, rosbags.make), output.type_name), output.type_name

    def canonical(data: bytes) -> bytes:
        """With zeros between the fields: rclpy leaves there what it finds."""
        return bytes(rosbags.serialize(rosbags.deserialize(data, name), name))

    assert canonical(rclpy.serialize(output.build(scene, rclpy.make), name)) == expected
    assert canonical(rclpy.serialize(rclpy.deserialize(expected, name), name)) == expected


def test_making_messages_leaves_nothing_behind(
    scene: SemanticGrid, libraries: tuple[Any, Any], freed_tuples: Callable[..., dict[int, int]]
) -> None:
    _, rclpy = libraries
    made = [output for output in outputs(BevSettings()) if not output.optional]
    assert freed_tuples(lambda: [output.build(scene, rclpy.make) for output in made]) == {}


def test_grid_comes_back_whole(scene: SemanticGrid, library: Any) -> None:
    message = encode.occupancy(scene, library.make)
    name = 'gdfusion_ros/msg/SemanticOccupancyGrid'
    back = semantic_grid(library.deserialize(library.serialize(message, name), name), '/occ/occupancy')
    for field in dataclasses.fields(scene):
        assert np.array_equal(getattr(back, field.name), getattr(scene, field.name)), field.name


def test_grid_message_states_axes_and_frame(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    assert (message.size_x, message.size_y, message.size_z) == (3, 4, 5)
    assert message.labels[2 + 3 * (3 + 4 * 1)] == CAR
    assert message.labels[0 + 3 * (0 + 4 * 4)] == TREE
    assert (message.header.frame_id, message.header.stamp.sec, message.header.stamp.nanosec) == (
        'base_link',
        1_533_151_603,
        512_404_001,
    )
    assert (message.origin.position.x, message.origin.position.y, message.origin.position.z) == (-1.0, -0.5, -0.2)
    assert (message.stamp_spread.sec, message.stamp_spread.nanosec) == (1, 43_000_002)


def test_labels_are_not_copied_for_a_bag(scene: SemanticGrid) -> None:
    from gdfusion_ros.bags.messages import RosbagsFactory

    assert np.shares_memory(encode.occupancy(scene, RosbagsFactory()).labels, scene.labels)


def test_points_lie_in_the_middle_of_their_voxels(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.points(scene, make)
    cloud = np.frombuffer(message.data, encode.POINT)
    assert len(cloud) == message.width == 8
    assert message.row_step == len(message.data) == 8 * message.point_step
    expected = {CAR: (0.25, 1.25, 0.4), TREE: (-0.75, -0.25, 1.6)}
    for label, center in expected.items():
        (point,) = cloud[cloud['label'] == label]
        assert np.allclose((point['x'], point['y'], point['z']), center)


def test_hidden_voxels_have_no_point(scene: SemanticGrid, make: MessageFactory) -> None:
    block = dataclasses.replace(scene, labels=np.full((5, 4, 3), CAR, np.uint8, order='F'))
    assert encode.points(block, make).width == 5 * 4 * 3 - 3 * 2 * 1


def test_obstacles_are_the_points_of_some_classes(scene: SemanticGrid, make: MessageFactory) -> None:
    def labels(*classes: str) -> list[int]:
        message: Any = obstacles_output(BevSettings(obstacle_classes=classes)).build(scene, make)
        return list(np.frombuffer(message.data, encode.POINT)['label'])

    assert labels('obstacles') == [CAR, TREE]
    assert labels('vegetation') == [TREE]
    assert labels() == []
    with pytest.raises(GdfusionError, match="setting 'obstacle_classes': no class 'tram'"):
        require_classes(BevSettings(obstacle_classes=('tram',)), OCC3D_NUSCENES)


def test_point_fields_describe_the_bytes(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.points(scene, make)
    point = bytes(message.data)[-message.point_step :]
    types = {7: '<f4', 2: 'u1'}
    values = {field.name: np.frombuffer(point, types[field.datatype], 1, field.offset)[0] for field in message.fields}
    assert values['label'] == TREE
    assert np.allclose((values['x'], values['y'], values['z']), (-0.75, -0.25, 1.6))
    # RViz reads the four bytes of rgb as an integer 0x00RRGGBB
    assert values['rgb'].view(np.uint32) == 0x00AF00


def test_clear_markers_deletes_everything(library: Any) -> None:
    name = 'visualization_msgs/msg/MarkerArray'
    message = library.deserialize(library.serialize(encode.clear_markers(5, 'base_link', library.make), name), name)
    (marker,) = message.markers
    assert (marker.action, marker.header.frame_id, marker.header.stamp.nanosec) == (3, 'base_link', 5)


def test_label_info_can_be_read_back(make: MessageFactory) -> None:
    info = json.loads(encode.label_info(OCC3D_NUSCENES, make).data)
    label_set = LABEL_SETS[info['label_set']]
    assert (info['free'], info['unknown']) == (17, 255)
    assert [(row['id'], row['name'], tuple(row['color'])) for row in info['classes']] == [
        (label.id, label.name, label.color) for label in label_set.classes
    ]


@pytest.mark.parametrize('topic', ['occupancy', 'points', 'bev', 'obstacles'])
def test_a_full_grid_is_built_in_a_few_milliseconds(scene: SemanticGrid, topic: str, make: MessageFactory) -> None:
    labels = np.random.default_rng(0).choice(18, (200, 200, 16), p=[0.005] * 17 + [0.915]).astype(np.uint8)
    grid = dataclasses.replace(scene, labels=np.asfortranarray(labels), confidence=None)
    build = next(output.build for output in outputs(BevSettings()) if output.topic == topic)
    durations = []
    for _ in range(5):
        begin = time.process_time()
        build(grid, make)
        durations.append(time.process_time() - begin)
    assert min(durations) < 0.02
