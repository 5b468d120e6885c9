"""Clouds of LiDARs as points: every layout that drivers give, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.datasets import lidar
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.clouds import cloud
from gdfusion_ros.messages.factory import Message, MessageFactory, header

POINTS: NDArray[np.float64] = np.array([[1.5, -2.25, 0.5], [30.0, 4.0, -1.0], [0.0, 0.125, 8.0], [5.0, 6.0, 7.0]])
TYPES = {'f4': 7, 'f8': 8, 'i4': 5}


def message(
    make: MessageFactory,
    *,
    kind: str = '<f4',
    points: NDArray[np.float64] = POINTS,
    height: int = 1,
    names: tuple[str, ...] = ('intensity', 'x', 'y', 'z'),
    padding: int = 0,
    **fields: Any,
) -> Message:
    """A cloud with those fields in that order, each of ``kind``; ``padding`` bytes end a row."""
    columns = {'x': points[:, 0], 'y': points[:, 1], 'z': points[:, 2], 'intensity': np.arange(len(points))}
    made = np.zeros(len(points), [(name, kind) for name in names])
    for name in names:
        made[name] = columns[name]
    size = made.itemsize
    rows = made.view(np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding))).reshape(-1)
    described = [
        make(
            'sensor_msgs/msg/PointField',
            name=name,
            offset=index * size // len(names),
            datatype=TYPES[kind[1:]],
            count=1,
        )
        for index, name in enumerate(names)
    ]
    return make(
        'sensor_msgs/msg/PointCloud2',
        **{
            'header': header(5_000_000_000, '/LIDAR_TOP', make),
            'height': height,
            'width': len(points) // height,
            'fields': described,
            'is_bigendian': kind[0] == '>',
            'point_step': size,
            'row_step': rows.shape[1] + padding,
            'data': make.array(data),
            'is_dense': True,
            **fields,
        },
    )


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'kind': '>f4'},
        {'kind': '<f8'},
        {'kind': '>f8'},
        {'names': ('z', 'y', 'x')},
        {'height': 2},
        {'height': 2, 'padding': 12, 'kind': '>f8'},
        {'row_step': 0},
        {'row_step': 7},
    ],
    ids=str,
)
def test_every_layout_gives_the_points(make: MessageFactory, options: dict[str, Any]) -> None:
    read = cloud(message(make, **options), '/points')
    assert (read.stamp, read.frame_id) == (5_000_000_000, 'LIDAR_TOP')
    assert read.points.dtype == np.float32
    np.testing.assert_array_equal(read.points, POINTS)


def test_returns_that_did_not_come_are_left_out(make: MessageFactory) -> None:
    points = np.vstack([POINTS, [[np.nan] * 3, [1.0, np.inf, 0.0], [1e300, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    read = cloud(message(make, points=points, kind='<f8', height=2, is_dense=False), '/points')
    np.testing.assert_array_equal(read.points, [*POINTS, [1.0, 1.0, 1.0]])


def test_the_converters_clouds_are_read_as_they_were_written(make: MessageFactory) -> None:
    points = np.zeros(3, lidar.POINT)
    points['x'], points['y'], points['z'], points['ring'] = [1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 1, 31]
    read = cloud(lidar.message(points, 7, 'LIDAR_TOP', make), '/points')
    assert (read.stamp, read.frame_id) == (7, 'LIDAR_TOP')
    assert read.points.tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'names': ('x', 'intensity', 'y')}, 'the cloud has no z; its fields are x, intensity, y'),
        ({'fields': []}, 'the cloud has no x, y, z; its fields are none'),
        ({'kind': '<i4'}, "field 'x' of the cloud has the data type 5, expected 7 (FLOAT32) or 8 (FLOAT64)"),
        ({'width': 0}, 'a cloud of 0 x 1 points is none that a LiDAR gives'),
        ({'width': 1 << 31}, 'points is none that a LiDAR gives'),
        ({'width': 5}, 'the cloud has 64 bytes, expected 80 for 5 x 1 points of 16 bytes'),
        (
            {'height': 2, 'row_step': 16},
            'the cloud has 64 bytes, expected 48 for 2 x 2 points of 16 bytes in rows of 16',
        ),
        ({'point_step': 12}, 'a point of the cloud has 12 bytes, but its fields reach to 16'),
        ({'point_step': 0}, 'a point of the cloud has 0 bytes'),
        ({'points': np.full((4, 3), np.nan)}, 'none of the 4 points of the cloud is finite'),
    ],
)
def test_what_is_no_cloud_is_one_clear_line(make: MessageFactory, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(GdfusionError) as error:
        cloud(message(make, **options), '/points')
    assert str(error.value).startswith('/points at 5.000000000: ')
    assert reason in str(error.value)
    assert '\n' not in str(error.value)


def test_a_cloud_without_a_frame_cannot_be_placed(make: MessageFactory) -> None:
    with pytest.raises(GdfusionError, match=r'/points at 5\.000000000: the header has no frame_id'):
        cloud(message(make, header=header(5_000_000_000, '', make)), '/points')
