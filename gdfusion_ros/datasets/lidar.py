"""nuScenes' LiDAR files: records of five little-endian float32, x, y, z [m, LIDAR_TOP], intensity and ring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.encode import point_cloud
from gdfusion_ros.messages.factory import Message, MessageFactory, header

POINT = np.dtype(
    {
        'names': ['x', 'y', 'z', 'intensity', 'ring'],
        'formats': ['<f4', '<f4', '<f4', '<f4', '<u2'],
        'offsets': [0, 4, 8, 12, 16],
        'itemsize': 20,
    }
)
"""One point of the cloud, laid out as the drivers of spinning LiDARs do, so that PCL's types fit."""
POINTS_TYPE = 'sensor_msgs/msg/PointCloud2'

_FIELDS = (('x', 0, 7), ('y', 4, 7), ('z', 8, 7), ('intensity', 12, 7), ('ring', 16, 4))
_VALUES = 5
_RINGS = 1 << 16


def read(path: Path) -> NDArray[np.void]:
    """(n,) POINT of a ``.pcd.bin`` file.

    Raises:
        GdfusionError: the file cannot be read, or is no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GdfusionError(f'LiDAR file {path} cannot be read: {error.strerror}') from error
    if len(content) % POINT.itemsize:
        raise GdfusionError(
            f'LiDAR file {path} has {len(content)} bytes, expected {POINT.itemsize} a point; fetch it again'
        )
    values = np.frombuffer(content, '<f4').reshape(-1, _VALUES)
    rings = values[:, 4]
    if not ((rings >= 0) & (rings < _RINGS) & (rings == np.floor(rings))).all():
        raise GdfusionError(
            f'LiDAR file {path}: the fifth value of a point is no ring, a whole number from 0; a point is to be five '
            'float32 (x, y, z, intensity, ring): fetch the file again, or convert without point clouds'
        )
    points = np.zeros(len(values), POINT)
    for column, name in enumerate(('x', 'y', 'z', 'intensity', 'ring')):
        points[name] = values[:, column]
    return points


def message(points: NDArray[np.void], stamp: int, frame_id: str, make: MessageFactory) -> Message:
    """``sensor_msgs/PointCloud2`` of (n,) POINT."""
    finite = all(np.isfinite(points[axis]).all() for axis in 'xyz')
    return point_cloud(points, _FIELDS, header(stamp, frame_id, make), make, dense=finite)
