from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode, encode
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.perception.types import SemanticGrid

STAMP = 1_500_000_000_012_345_678


def transform(
    make: MessageFactory,
    parent: str = 'map',
    child: str = 'base_link',
    xyz: tuple[float, ...] = (1.0, 2.0, 3.0),
    xyzw: tuple[float, ...] = (0.0, 0.6, 0.0, 0.8),
) -> Message:
    return make(
        'geometry_msgs/msg/TransformStamped',
        header=header(STAMP, parent, make),
        child_frame_id=child,
        transform=make(
            'geometry_msgs/msg/Transform',
            translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', xyz, strict=True))),
            rotation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', xyzw, strict=True))),
        ),
    )


def tf_message(make: MessageFactory, *transforms: Message) -> Message:
    return make('tf2_msgs/msg/TFMessage', transforms=list(transforms))


def test_transform_keeps_direction_and_order(make: MessageFactory) -> None:
    good, bad = decode.transforms(tf_message(make, transform(make, parent='/map')), '/tf')
    assert good == [('map', 'base_link', STAMP, (1.0, 2.0, 3.0), (0.0, 0.6, 0.0, 0.8))]
    assert bad == []


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'xyz': (float('nan'), 0.0, 0.0)}, 'not finite'),
        ({'xyzw': (0.0, 0.0, 0.0, 0.0)}, 'no unit quaternion'),
        ({'xyzw': (0.0, 0.0, 0.0, 2.0)}, 'no unit quaternion'),
        ({'child': 'map'}, 'two different frames'),
        ({'parent': ''}, 'two different frames'),
        ({'xyz': (0.0, 1e20, 0.0)}, 'is 1e+20 m long, beyond every map'),
        ({'xyz': (1e308, 1e308, 0.0)}, 'beyond every map'),
    ],
)
def test_bad_transform_is_refused_and_the_others_stay(
    make: MessageFactory, change: dict[str, Any], reason: str
) -> None:
    good, bad = decode.transforms(tf_message(make, transform(make, **change), transform(make)), '/tf')
    assert [item.child for item in good] == ['base_link']
    (error,) = bad
    assert str(error).startswith('/tf at 1500000000.012345678: transform ')
    assert reason in str(error)


@pytest.mark.parametrize(('sec', 'nanosec'), [(-1, 0), (5, 10**9)])
def test_a_transform_at_no_time_is_refused(make: MessageFactory, sec: int, nanosec: int) -> None:
    message = transform(make)
    message.header.stamp = make('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
    good, (error,) = decode.transforms(tf_message(make, message), '/tf')
    assert good == []
    assert f'a stamp of {sec} s and {nanosec} ns is no time' in str(error)


def test_maps_may_be_as_large_as_the_earth(make: MessageFactory) -> None:
    good, bad = decode.transforms(tf_message(make, transform(make, xyz=(5e5, 1e7, 0.0))), '/tf')
    assert (len(good), bad) == (1, [])


def test_grid_is_read_without_a_copy(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    grid = decode.semantic_grid(message, '/occ/occupancy')
    assert np.shares_memory(grid.labels, np.frombuffer(message.labels, np.uint8))
    assert grid.labels.flags.f_contiguous
    assert grid.label_set is scene.label_set


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('size_x', 4, r'labels has 60 values, expected 4 x 4 x 5 = 80'),
        ('size_z', 0, 'expected 3 x 4 x 0 = 0'),
        ('label_set', 'mine', "unknown label set 'mine'"),
        ('free_label', 0, 'with 0 as free'),
    ],
)
def test_bad_grid_is_refused(scene: SemanticGrid, make: MessageFactory, field: str, value: object, reason: str) -> None:
    message = encode.occupancy(scene, make)
    setattr(message, field, value)
    with pytest.raises(GdfusionError, match=rf'^/occ/occupancy at 1533151603.512404001: .*{reason}'):
        decode.semantic_grid(message, '/occ/occupancy')


def test_grid_without_confidence(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    message.confidence = make.array(np.empty(0, np.uint8))
    assert decode.semantic_grid(message, '/occ/occupancy').confidence is None


def test_rotated_grid_is_refused(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    message.origin.orientation.z = 1.0
    with pytest.raises(GdfusionError, match='rotated'):
        decode.semantic_grid(message, '/occ/occupancy')
