"""The two message libraries, and a scene without any symmetry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.messages.factory import Message, MessageFactory
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid


class Library(NamedTuple):
    make: MessageFactory
    serialize: Callable[[Message, str], bytes]
    deserialize: Callable[[bytes, str], Message]


def as_bytes(message: Message, serialize: Callable[..., Any], *arguments: str) -> bytes:
    return message if isinstance(message, bytes) else bytes(serialize(message, *arguments))


def rosbags_library() -> Library:
    store = typestore()
    return Library(
        RosbagsFactory(), lambda message, name: as_bytes(message, store.serialize_cdr, name), store.deserialize_cdr
    )


def rclpy_library() -> Library:
    serialization: Any = pytest.importorskip('rclpy.serialization')
    pytest.importorskip('gdfusion_ros.msg')
    from gdfusion_ros.ros.factory import RclpyMessages, message_class

    return Library(
        RclpyMessages(),
        lambda message, _: as_bytes(message, serialization.serialize_message),
        lambda data, name: serialization.deserialize_message(data, message_class(name)),
    )


LIBRARIES = {'rosbags': rosbags_library, 'rclpy': rclpy_library}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    return LIBRARIES[request.param]()


@pytest.fixture
def libraries() -> tuple[Library, Library]:
    return rosbags_library(), rclpy_library()


@pytest.fixture
def make(library: Library) -> MessageFactory:
    return library.make


@pytest.fixture
def scene() -> SemanticGrid:
    """3 x 4 x 5 voxels of 0.5 x 0.5 x 0.4 m; a car ahead on the left on the ground, an overhanging tree at the right.

    Columns (x, y): road in (0..2, 1..2) at z = 0, car in (2, 3, 1), tree in (0, 0, 4), unknown in (1, 0, 0).
    """
    labels = np.full((3, 4, 5), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:, 1:3, 0] = OCC3D_NUSCENES.by_name('driveable_surface').id
    labels[2, 3, 1] = OCC3D_NUSCENES.by_name('car').id
    labels[0, 0, 4] = OCC3D_NUSCENES.by_name('vegetation').id
    labels[1, 0, 0] = 255
    confidence = np.asfortranarray(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    return SemanticGrid(
        stamp=1_533_151_603_512_404_001,
        frame_id='base_link',
        origin=(-1.0, -0.5, -0.2),
        voxel_size=(0.5, 0.5, 0.4),
        labels=labels,
        confidence=confidence,
        label_set=OCC3D_NUSCENES,
        model='small (untrained)',
        frames_since_reset=7,
        cameras=('CAM_FRONT', 'CAM_BACK'),
        stamp_spread=1_043_000_002,
    )
