"""Semantic grids as ROS messages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.messages.wire import to_wire
from gdfusion_ros.perception.labels import UNKNOWN, LabelSet
from gdfusion_ros.perception.poses import Quaternion, Vector
from gdfusion_ros.perception.types import NANOSECONDS, SemanticGrid

POINT = np.dtype(
    {
        'names': ['x', 'y', 'z', 'rgb', 'label'],
        'formats': ['<f4', '<f4', '<f4', '<u4', 'u1'],
        'offsets': [0, 4, 8, 12, 16],
        'itemsize': 20,
    }
)
"""One point of the cloud. The bits of ``rgb`` are 0x00RRGGBB; the message calls it FLOAT32, as PCL and RViz do."""

PointField = tuple[str, int, int]
"""Name, offset and data type (sensor_msgs/PointField: 2 = UINT8, 4 = UINT16, 7 = FLOAT32) of a value of a point."""

_POINT_FIELDS: tuple[PointField, ...] = (('x', 0, 7), ('y', 4, 7), ('z', 8, 7), ('rgb', 12, 7), ('label', 16, 2))
# visualization_msgs/Marker
_DELETEALL = 3


def exposed(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(X, Y, Z) which of the solid voxels have a side that is open, or at the border of the grid."""
    padded = np.zeros_like(solid, shape=[size + 2 for size in solid.shape])
    padded[1:-1, 1:-1, 1:-1] = solid
    enclosed: NDArray[np.bool_] = (
        padded[2:, 1:-1, 1:-1]
        & padded[:-2, 1:-1, 1:-1]
        & padded[1:-1, 2:, 1:-1]
        & padded[1:-1, :-2, 1:-1]
        & padded[1:-1, 1:-1, 2:]
        & padded[1:-1, 1:-1, :-2]
    )
    return solid & ~enclosed


def chosen_voxels(grid: SemanticGrid, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Centres (n, 3) [m, ``grid.frame_id``] and labels (n,) of the chosen voxels, in the order of the wire."""
    indices = np.flatnonzero(to_wire(chosen))
    labels = to_wire(grid.labels)
    size_x, size_y, _ = grid.labels.shape
    layer, column = np.divmod(indices, size_x * size_y)
    centres = np.empty((len(indices), 3), np.float32)
    for axis, index in enumerate((column % size_x, column // size_x, layer)):
        centres[:, axis] = grid.origin[axis] + (index + 0.5) * grid.voxel_size[axis]
    return centres, labels[indices]


def occupancy(grid: SemanticGrid, make: MessageFactory) -> Message:
    """``gdfusion_ros/SemanticOccupancyGrid``: the grid itself."""
    confidence = np.empty(0, np.uint8) if grid.confidence is None else to_wire(grid.confidence)
    seconds, nanoseconds = divmod(grid.stamp_spread, NANOSECONDS)
    size_x, size_y, size_z = grid.labels.shape
    return make(
        'gdfusion_ros/msg/SemanticOccupancyGrid',
        header=header(grid.stamp, grid.frame_id, make),
        origin=pose(grid.origin, make),
        voxel_size=xyz('geometry_msgs/msg/Vector3', grid.voxel_size, make),
        size_x=size_x,
        size_y=size_y,
        size_z=size_z,
        labels=make.array(to_wire(grid.labels)),
        free_label=grid.label_set.free,
        confidence=make.array(confidence),
        label_set=grid.label_set.name,
        model=grid.model,
        frames_since_reset=grid.frames_since_reset,
        cameras=list(grid.cameras),
        stamp_spread=make('builtin_interfaces/msg/Duration', sec=seconds, nanosec=nanoseconds),
    )


def points(grid: SemanticGrid, make: MessageFactory, classes: NDArray[np.bool_] | None = None) -> Message:
    """``sensor_msgs/PointCloud2``: the centres of the occupied voxels with colour and label (see POINT).

    Voxels that are hidden from all six sides are left out, as in markers. ``classes`` is (256,) which labels there are
    points of; None: all.
    """
    chosen = exposed(grid.occupied)
    centres, labels = chosen_voxels(grid, chosen if classes is None else chosen & classes[grid.labels])
    cloud = np.zeros(len(labels), POINT)
    cloud['x'], cloud['y'], cloud['z'] = centres.T
    cloud['rgb'] = _packed_colors(grid.label_set)[labels]
    cloud['label'] = labels
    return point_cloud(cloud, _POINT_FIELDS, header(grid.stamp, grid.frame_id, make), make)


def point_cloud(
    cloud: NDArray[np.void], fields: Sequence[PointField], head: Message, make: MessageFactory, *, dense: bool = True
) -> Message:
    """``sensor_msgs/PointCloud2`` of a structured (n,) array.

    Args:
        cloud: The points as they are in memory, little-endian.
        fields: What the message says of them.
        head: The message's header.
        make: See MessageFactory.
        dense: Whether every point is finite.
    """
    described = [
        make('sensor_msgs/msg/PointField', name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in fields
    ]
    return make(
        'sensor_msgs/msg/PointCloud2',
        header=head,
        height=1,
        width=len(cloud),
        fields=described,
        is_bigendian=False,
        point_step=cloud.itemsize,
        row_step=cloud.nbytes,
        data=make.array(cloud.view(np.uint8)),
        is_dense=dense,
    )


def clear_markers(stamp: int, frame_id: str, make: MessageFactory) -> Message:
    """``visualization_msgs/MarkerArray`` that deletes every marker of the display, for a reset."""
    marker = make('visualization_msgs/msg/Marker', header=header(stamp, frame_id, make), action=_DELETEALL)
    return make('visualization_msgs/msg/MarkerArray', markers=[marker])


def label_info(label_set: LabelSet, make: MessageFactory) -> Message:
    """``std_msgs/String`` with a JSON object: what the ids of a label set mean.

    ``{"label_set": …, "free": id, "unknown": 255, "classes": [{"id": …, "name": …, "color": [r, g, b]}, …]}``, colours
    in 0..255. A string, because vision_msgs/LabelInfo has no colours and is not part of every installation.
    """
    info = {
        'label_set': label_set.name,
        'free': label_set.free,
        'unknown': UNKNOWN,
        'classes': [{'id': label.id, 'name': label.name, 'color': label.color} for label in label_set.classes],
    }
    return make('std_msgs/msg/String', data=json.dumps(info))


def pose(position: Vector, make: MessageFactory, rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)) -> Message:
    """``geometry_msgs/Pose`` at ``position`` [m], turned by ``rotation`` (x, y, z, w)."""
    x, y, z, w = rotation
    return make(
        'geometry_msgs/msg/Pose',
        position=xyz('geometry_msgs/msg/Point', position, make),
        orientation=make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )


def xyz(type_name: str, values: Vector, make: MessageFactory) -> Message:
    """A message of a type with the fields x, y and z."""
    x, y, z = values
    return make(type_name, x=x, y=y, z=z)


def _packed_colors(label_set: LabelSet) -> NDArray[np.uint32]:
    """(256,) 0x00RRGGBB of every label."""
    table = np.zeros(256, np.uint32)
    for label in label_set.classes:
        red, green, blue = label.color
        table[label.id] = red << 16 | green << 8 | blue
    return table
