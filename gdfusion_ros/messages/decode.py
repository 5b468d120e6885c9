"""ROS messages as what the perception core takes, checked at this boundary.

``topic`` is only named in errors. Every function raises GdfusionError with one line that names topic, stamp and cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.bayer import BAYER_ENCODINGS, demosaic
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.messages.wire import from_wire
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.perception.types import CameraModel, Pixels, SemanticGrid, StampedTransform, stamp_text

_CHANNELS = {'rgb8': [0, 1, 2], 'bgr8': [2, 1, 0], 'rgba8': [0, 1, 2], 'bgra8': [2, 1, 0], 'mono8': [0, 0, 0]}
"""Where red, green and blue lie in a pixel of each encoding."""

_BYTES_PER_PIXEL = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1} | dict.fromkeys(BAYER_ENCODINGS, 1)
_FILE_FORMATS = ('JPEG', 'PNG')


@dataclass(frozen=True)
class EncodedImage:
    """An image message whose header was read; ``load`` decodes it to (h, w, 3) RGB, or raises GdfusionError."""

    stamp: int
    frame_id: str
    load: Callable[[], Pixels]


Fallback = Callable[[Message, str], Pixels]
"""Decodes an image message; its topic and stamp are for errors."""


def compressed_image(message: Message, topic: str) -> EncodedImage:
    """``sensor_msgs/CompressedImage`` (JPEG or PNG)."""
    place = _place(message, topic)
    return EncodedImage(stamp_of(message.header.stamp), _frame(message.header.frame_id, place),
                        partial(_load_compressed, message.data, place))


def image(message: Message, topic: str, fallback: Fallback | None = None) -> EncodedImage:
    """``sensor_msgs/Image``; ``fallback`` decodes the encodings that are not known here (cv_bridge does)."""
    place = _place(message, topic)
    stamp, frame_id = stamp_of(message.header.stamp), _frame(message.header.frame_id, place)
    encoding = message.encoding
    if encoding not in _BYTES_PER_PIXEL:
        if fallback is not None:
            return EncodedImage(stamp, frame_id, partial(fallback, message, place))
        raise GdfusionError(f"{place}: unknown image encoding '{encoding}'; known are {', '.join(_BYTES_PER_PIXEL)}")
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height == 0 or width == 0:
        raise GdfusionError(f'{place}: the image is empty ({width} x {height})')
    if step < width * _BYTES_PER_PIXEL[encoding]:
        raise GdfusionError(f'{place}: step {step} is too small for {width} pixels of {encoding}')
    if len(message.data) != step * height:
        raise GdfusionError(f'{place}: {len(message.data)} bytes of data, expected {step} x {height} = {step * height}')
    return EncodedImage(stamp, frame_id, partial(_load_raw, message))


def camera_model(message: Message, topic: str) -> CameraModel:
    """``sensor_msgs/CameraInfo``: size and intrinsics of the rectified image, which are in P, or in K where P is empty.

    Images are taken as rectified (see ``is_raw``).
    """
    place = _place(message, topic)
    name, intrinsics = _intrinsics(message)
    width, height = int(message.width), int(message.height)
    if width == 0 or height == 0:
        raise GdfusionError(f'{place}: camera info without an image size')
    if not np.isfinite(intrinsics).all():
        raise GdfusionError(f'{place}: the intrinsic matrix {name} is not finite')
    if intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0 or intrinsics[2, 2] != 1:
        raise GdfusionError(f'{place}: the intrinsic matrix {name} is empty; calibrate the camera')
    return CameraModel(width, height, intrinsics)


def is_raw(message: Message) -> bool:
    """Whether a ``sensor_msgs/CameraInfo`` seems to be of images that are not rectified.

    It states a lens distortion, which the pinhole model ignores, and no other matrix than K for images without it.
    """
    _, intrinsics = _intrinsics(message)
    return any(float(value) != 0 for value in message.d) and np.array_equal(intrinsics, _matrix(message.k, 3))


def _intrinsics(message: Message) -> tuple[str, NDArray[np.float64]]:
    """Name and (3, 3) matrix of a CameraInfo that hold for its rectified image."""
    projection = _matrix(message.p, 4)[:, :3]
    return ('P', projection) if projection[0, 0] > 0 else ('K', _matrix(message.k, 3))


def _matrix(values: Iterable[float], columns: int) -> NDArray[np.float64]:
    return np.array([float(value) for value in values]).reshape(3, columns)


def transforms(message: Message, topic: str) -> tuple[list[StampedTransform], list[GdfusionError]]:
    """The good transforms of a ``tf2_msgs/TFMessage``, and the errors of those that were refused."""
    results = [_transform_or_error(stamped, topic) for stamped in message.transforms]
    good = [result for result in results if isinstance(result, StampedTransform)]
    return good, [result for result in results if isinstance(result, GdfusionError)]


def transform(message: Message, topic: str) -> StampedTransform:
    """``geometry_msgs/TransformStamped``; a leading slash of a frame is dropped, as tf2 does."""
    parent, child = message.header.frame_id.lstrip('/'), message.child_frame_id.lstrip('/')
    place = f"{_place(message, topic)}: transform '{parent}' -> '{child}'"
    if not parent or not child or parent == child:
        raise GdfusionError(f'{place} needs two different frames')
    offset, turn = message.transform.translation, message.transform.rotation
    translation = (float(offset.x), float(offset.y), float(offset.z))
    rotation = (float(turn.x), float(turn.y), float(turn.z), float(turn.w))
    if not all(map(math.isfinite, translation + rotation)):
        raise GdfusionError(f'{place} is not finite')
    if abs(math.hypot(*rotation) - 1) > 0.01:
        raise GdfusionError(f'{place} has no unit quaternion: {rotation}')
    return StampedTransform(parent, child, stamp_of(message.header.stamp), translation, rotation)


def _transform_or_error(message: Message, topic: str) -> StampedTransform | GdfusionError:
    try:
        return transform(message, topic)
    except GdfusionError as error:
        return error


def semantic_grid(message: Message, topic: str) -> SemanticGrid:
    """``gdfusion_ros/SemanticOccupancyGrid``; labels and confidence are views of the message's data."""
    place = _place(message, topic)
    label_set = LABEL_SETS.get(message.label_set)
    if label_set is None or label_set.free != message.free_label:
        raise GdfusionError(f"{place}: unknown label set '{message.label_set}' with {message.free_label} as free; "
                            f"known are {', '.join(f'{s.name} ({s.free})' for s in LABEL_SETS.values())}")
    turn = message.origin.orientation
    if (turn.x, turn.y, turn.z) != (0, 0, 0):
        raise GdfusionError(f'{place}: a grid that is rotated in its frame is not supported')
    shape = (int(message.size_x), int(message.size_y), int(message.size_z))
    corner, size = message.origin.position, message.voxel_size
    origin, voxel_size = (corner.x, corner.y, corner.z), (size.x, size.y, size.z)
    if not all(map(math.isfinite, origin + voxel_size)) or min(voxel_size) <= 0:
        raise GdfusionError(f'{place}: voxels of {voxel_size} m from {origin} m are nowhere')
    return SemanticGrid(
        stamp=stamp_of(message.header.stamp), frame_id=message.header.frame_id, origin=origin, voxel_size=voxel_size,
        labels=_voxels(message.labels, shape, f'{place}: labels'),
        confidence=_voxels(message.confidence, shape, f'{place}: confidence') if len(message.confidence) else None,
        label_set=label_set, model=message.model, frames_since_reset=int(message.frames_since_reset),
        cameras=tuple(message.cameras), stamp_spread=stamp_of(message.stamp_spread))


def _voxels(data: Message, shape: tuple[int, int, int], name: str) -> NDArray[np.uint8]:
    voxels = math.prod(shape)
    if voxels == 0 or len(data) != voxels:
        raise GdfusionError(f'{name} has {len(data)} values, expected {" x ".join(map(str, shape))} = {voxels}')
    return from_wire(np.frombuffer(data, np.uint8), shape)


def _place(message: Message, topic: str) -> str:
    """Where a message came from, for errors."""
    return f'{topic} at {stamp_text(stamp_of(message.header.stamp))}'


def _frame(frame_id: str, place: str) -> str:
    if not frame_id:
        raise GdfusionError(f'{place}: the header has no frame_id, so the camera cannot be placed by TF')
    return frame_id.lstrip('/')


def _load_compressed(data: Message, place: str) -> Pixels:
    try:
        with Image.open(BytesIO(data), formats=_FILE_FORMATS) as picture:
            # Converting an image that is RGB already would copy it.
            return np.asarray(picture if picture.mode == 'RGB' else picture.convert('RGB'))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GdfusionError(f'{place}: the image of {len(data)} bytes cannot be decoded: {error}') from error


def _load_raw(message: Message) -> Pixels:
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    size = _BYTES_PER_PIXEL[message.encoding]
    pixels = rows[:, :message.width * size].reshape(message.height, message.width, size)
    if message.encoding in BAYER_ENCODINGS:
        return demosaic(pixels[..., 0], message.encoding)
    return pixels if message.encoding == 'rgb8' else pixels[..., _CHANNELS[message.encoding]]
