"""Messages made with rosbags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory, typestore
from gdfusion_ros.messages.factory import header, stamp_of


@pytest.mark.parametrize(
    'type_name',
    [
        'visualization_msgs/msg/MarkerArray',
        'visualization_msgs/msg/Marker',
        'sensor_msgs/msg/PointCloud2',
        'sensor_msgs/msg/CameraInfo',
        'nav_msgs/msg/OccupancyGrid',
        'diagnostic_msgs/msg/DiagnosticArray',
        'tf2_msgs/msg/TFMessage',
        GRID_TYPE,
    ],
)
def test_fields_left_out_are_as_on_the_wire(type_name: str) -> None:
    message = RosbagsFactory()(type_name)
    data = typestore().serialize_cdr(message, type_name)
    assert typestore().serialize_cdr(typestore().deserialize_cdr(data, type_name), type_name) == data


def test_defaults_are_those_of_rclpy() -> None:
    make = RosbagsFactory()
    marker = make('visualization_msgs/msg/Marker', ns='a', id=3)
    turn = marker.pose.orientation
    assert (marker.ns, marker.id, marker.type, marker.frame_locked, marker.points) == ('a', 3, 0, False, [])
    assert (turn.x, turn.y, turn.z, turn.w) == (0.0, 0.0, 0.0, 1.0)
    info = make('sensor_msgs/msg/CameraInfo')
    assert info.k.tolist() == [0.0] * 9
    assert info.d.dtype == np.float64
    assert len(info.d) == 0


def test_messages_share_no_default() -> None:
    make = RosbagsFactory()
    first, second = make('visualization_msgs/msg/Marker'), make('visualization_msgs/msg/Marker')
    first.points.append(make('geometry_msgs/msg/Point'))
    first.pose.position.x = 1.0
    assert second.points == []
    assert second.pose.position.x == 0.0


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(TypeError, match='heder'):
        RosbagsFactory()('sensor_msgs/msg/Image', heder=1)  # codespell:ignore heder


def test_the_grid_message_keeps_its_fields() -> None:
    make = RosbagsFactory()
    labels = np.arange(24, dtype=np.uint8)
    message = make(
        GRID_TYPE,
        header=header(1_500_000_001, 'base_link', make),
        size_x=2,
        size_y=3,
        size_z=4,
        labels=make.array(labels),
        cameras=['A', 'B'],
        frames_since_reset=7,
    )
    back: Any = typestore().deserialize_cdr(typestore().serialize_cdr(message, GRID_TYPE), GRID_TYPE)
    assert stamp_of(back.header.stamp) == 1_500_000_001
    assert (back.size_x, back.size_y, back.size_z, back.frames_since_reset) == (2, 3, 4, 7)
    assert back.cameras == ['A', 'B']
    np.testing.assert_array_equal(back.labels, labels)
    assert back.UNKNOWN == 255
