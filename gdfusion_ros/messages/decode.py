"""Transforms and grids of ROS messages as what the perception core takes, checked at this boundary.

Images: images.py; camera info: camera_info.py.

``topic`` is only named in errors. Every function raises GdfusionError with one line that names topic, stamp and cause.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.messages.place import measured_at, place_of
from gdfusion_ros.messages.wire import from_wire
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.perception.types import SemanticGrid, StampedTransform

_FARTHEST = 1e8
"""The length of a transform [m]: the Earth's radius is 6.4e6, and 64 bits tell a centimetre at a million times this."""


def transforms(message: Message, topic: str) -> tuple[list[StampedTransform], list[GdfusionError]]:
    """The good transforms of a ``tf2_msgs/TFMessage``, and the errors of those that were refused."""
    results = [_transform_or_error(stamped, topic) for stamped in message.transforms]
    good = [result for result in results if isinstance(result, StampedTransform)]
    return good, [result for result in results if isinstance(result, GdfusionError)]


def transform(message: Message, topic: str) -> StampedTransform:
    """``geometry_msgs/TransformStamped``; a leading slash of a frame is dropped, as tf2 does."""
    parent, child = message.header.frame_id.lstrip('/'), message.child_frame_id.lstrip('/')
    place = f"{place_of(message, topic)}: transform '{parent}' -> '{child}'"
    if not parent or not child or parent == child:
        raise GdfusionError(f'{place} needs two different frames')
    offset, turn = message.transform.translation, message.transform.rotation
    translation = (float(offset.x), float(offset.y), float(offset.z))
    rotation = (float(turn.x), float(turn.y), float(turn.z), float(turn.w))
    if not all(map(math.isfinite, translation + rotation)):
        raise GdfusionError(f'{place} is not finite')
    if (distance := math.hypot(*translation)) > _FARTHEST:
        raise GdfusionError(f'{place} is {distance:.3g} m long, beyond every map')
    if abs(math.hypot(*rotation) - 1) > 0.01:
        raise GdfusionError(f'{place} has no unit quaternion: {rotation}')
    return StampedTransform(parent, child, measured_at(message, place), translation, rotation)


def _transform_or_error(message: Message, topic: str) -> StampedTransform | GdfusionError:
    try:
        return transform(message, topic)
    except GdfusionError as error:
        return error


def semantic_grid(message: Message, topic: str) -> SemanticGrid:
    """``gdfusion_ros/SemanticOccupancyGrid``; labels and confidence are views of the message's data."""
    place = place_of(message, topic)
    label_set = LABEL_SETS.get(message.label_set)
    if label_set is None or label_set.free != message.free_label:
        raise GdfusionError(
            f"{place}: unknown label set '{message.label_set}' with {message.free_label} as free; "
            f'known are {", ".join(f"{s.name} ({s.free})" for s in LABEL_SETS.values())}'
        )
    turn = message.origin.orientation
    if (turn.x, turn.y, turn.z) != (0, 0, 0):
        raise GdfusionError(
            f'{place}: a grid that is rotated in its frame is not supported; give it in a frame that is turned so'
        )
    shape = (int(message.size_x), int(message.size_y), int(message.size_z))
    corner, size = message.origin.position, message.voxel_size
    origin, voxel_size = (corner.x, corner.y, corner.z), (size.x, size.y, size.z)
    if not all(map(math.isfinite, origin + voxel_size)) or min(voxel_size) <= 0:
        raise GdfusionError(
            f'{place}: voxels of {voxel_size} m from {origin} m are nowhere; mend voxel_size and origin'
        )
    return SemanticGrid(
        stamp=stamp_of(message.header.stamp),
        frame_id=message.header.frame_id,
        origin=origin,
        voxel_size=voxel_size,
        labels=_voxels(message.labels, shape, f'{place}: labels'),
        confidence=_voxels(message.confidence, shape, f'{place}: confidence') if len(message.confidence) else None,
        label_set=label_set,
        model=message.model,
        frames_since_reset=int(message.frames_since_reset),
        cameras=tuple(message.cameras),
        stamp_spread=stamp_of(message.stamp_spread),
    )


def _voxels(data: Message, shape: tuple[int, int, int], name: str) -> NDArray[np.uint8]:
    voxels = math.prod(shape)
    if voxels == 0 or len(data) != voxels:
        raise GdfusionError(f'{name} has {len(data)} values, expected {" x ".join(map(str, shape))} = {voxels}')
    return from_wire(np.frombuffer(data, np.uint8), shape)
