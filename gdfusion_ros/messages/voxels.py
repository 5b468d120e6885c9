"""Semantic grids as Foxglove's voxel grids: every cell its class's colour and its label, x fastest as on our wire."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.messages.encode import pose, xyz
from gdfusion_ros.messages.factory import Message, MessageFactory, time
from gdfusion_ros.messages.wire import to_wire
from gdfusion_ros.perception.types import SemanticGrid

VOXELS_TYPE = 'foxglove_msgs/msg/VoxelGrid'

FIELDS = ('red', 'green', 'blue', 'alpha', 'label')
"""Bytes of a cell, in their order; alpha is 0 where the grid is free or unknown."""

_UINT8 = 1
"""Of foxglove_msgs/PackedElementField."""


def cells(grid: SemanticGrid) -> NDArray[np.uint8]:
    """(n, 5) the FIELDS of every voxel, in the order of the wire."""
    table = np.zeros((256, len(FIELDS)), np.uint8)
    table[:, -1] = np.arange(256)
    for label in grid.label_set.occupied:
        table[label.id, :4] = *label.color, 255
    return table.take(to_wire(grid.labels), axis=0)


def voxels(grid: SemanticGrid, make: MessageFactory) -> Message:
    """``foxglove_msgs/VoxelGrid``: rows run along x, slices along z."""
    columns, rows, _ = grid.labels.shape
    fields = [
        make('foxglove_msgs/msg/PackedElementField', name=name, offset=offset, type=_UINT8)
        for offset, name in enumerate(FIELDS)
    ]
    return make(
        VOXELS_TYPE,
        timestamp=time(grid.stamp, make),
        frame_id=grid.frame_id,
        pose=pose(grid.origin, make),
        row_count=rows,
        column_count=columns,
        cell_size=xyz('geometry_msgs/msg/Vector3', grid.voxel_size, make),
        **strides(grid),
        fields=fields,
        data=make.array(cells(grid).reshape(-1)),
    )


def strides(grid: SemanticGrid) -> dict[str, int]:
    """Bytes from one cell, row and slice to the next."""
    columns, rows, _ = grid.labels.shape
    cell = len(FIELDS)
    return {'cell_stride': cell, 'row_stride': cell * columns, 'slice_stride': cell * columns * rows}
