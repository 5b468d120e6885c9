"""``sensor_msgs/PointCloud2`` of a LiDAR as points, checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.place import measured_at, place_of, sensor_frame

CLOUD_TYPE = 'sensor_msgs/msg/PointCloud2'

_AXES = ('x', 'y', 'z')
_FLOATS = {7: 'f4', 8: 'f8'}
"""Data type of sensor_msgs/PointField -> numpy's."""

_MOST = 1 << 24
"""No LiDAR gives more points at a time."""


class Cloud(NamedTuple):
    """A cloud: its stamp [ns], its TF frame, and (n, 3) float32 points [m], n > 0, all finite."""

    stamp: int
    frame_id: str
    points: NDArray[np.float32]


def cloud(message: Message, topic: str) -> Cloud:
    """The points of a cloud, organised or not, of either byte order, x, y and z in 32 or 64 bits.

    Points that are not finite are returns that did not come, and are left out.

    Raises:
        GdfusionError: one line with topic, stamp and cause.
    """
    place = place_of(message, topic)
    stamp, frame_id = measured_at(message, place), sensor_frame(message, place)
    point = _point(message, place)
    width, height, row = int(message.width), int(message.height), int(message.row_step)
    if not 0 < width * height <= _MOST:
        raise GdfusionError(f'{place}: a cloud of {width} x {height} points is none that a LiDAR gives')
    row = row if height > 1 else width * point.itemsize
    length = row * (height - 1) + width * point.itemsize
    if row < width * point.itemsize or len(message.data) < length:
        raise GdfusionError(
            f'{place}: the cloud has {len(message.data)} bytes, expected {length} for {width} x '
            f'{height} points of {point.itemsize} bytes in rows of {row}'
        )
    data = np.frombuffer(message.data, np.uint8)
    grid: NDArray[np.void] = np.ndarray((height, width), point, data, strides=(row, point.itemsize))
    with np.errstate(over='ignore'):  # infinite then, and left out
        points = np.stack([grid[axis].astype(np.float32).ravel() for axis in _AXES], axis=1)
    finite: NDArray[np.float32] = points[np.isfinite(points).all(1)]
    if not len(finite):
        raise GdfusionError(f'{place}: none of the {width * height} points of the cloud is finite')
    return Cloud(stamp, frame_id, finite)


def _point(message: Message, place: str) -> np.dtype[np.void]:
    """How x, y and z lie in a point."""
    fields = {str(field.name): field for field in message.fields}
    missing = [axis for axis in _AXES if axis not in fields]
    if missing:
        raise GdfusionError(
            f'{place}: the cloud has no {", ".join(missing)}; its fields are '
            f'{", ".join(name[:20] for name in list(fields)[:10]) or "none"}'
        )
    order, formats, offsets = '>' if message.is_bigendian else '<', [], []
    for field in (fields[axis] for axis in _AXES):
        if int(field.datatype) not in _FLOATS:
            raise GdfusionError(
                f"{place}: field '{field.name}' of the cloud has the data type {field.datatype}, "
                'expected 7 (FLOAT32) or 8 (FLOAT64)'
            )
        formats.append(order + _FLOATS[int(field.datatype)])
        offsets.append(int(field.offset))
    step = int(message.point_step)
    ends = [offset + np.dtype(form).itemsize for offset, form in zip(offsets, formats, strict=True)]
    if max(ends) > step:
        raise GdfusionError(f'{place}: a point of the cloud has {step} bytes, but its fields reach to {max(ends)}')
    return np.dtype({'names': list(_AXES), 'formats': formats, 'offsets': offsets, 'itemsize': step})
