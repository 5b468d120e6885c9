"""``foxglove_msgs/VoxelGrid``, where that package is installed; its cells everywhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gdfusion_ros.messages.voxels import FIELDS, cells, strides, voxels
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

LABELS = np.full((3, 4, 2), OCC3D_NUSCENES.free, np.uint8, order='F')
LABELS[2, 1, 0], LABELS[0, 3, 1] = 4, 255
GRID = SemanticGrid(
    1_500_000_000_000_000_007,
    'base_link',
    (-1.0, -2.0, 0.5),
    (0.4, 0.5, 0.6),
    LABELS,
    None,
    OCC3D_NUSCENES,
    'tiny',
    1,
    (),
    0,
)


def test_every_cell_has_the_colour_and_the_label_of_its_voxel() -> None:
    layout, data = strides(GRID), cells(GRID).ravel()
    for place in np.ndindex(*LABELS.shape):
        x, y, z = place
        start = z * layout['slice_stride'] + y * layout['row_stride'] + x * layout['cell_stride']
        *color, alpha, label = data[start : start + len(FIELDS)].tolist()
        assert label == LABELS[place]
        assert (color, alpha) == (([0, 150, 245], 255) if label == 4 else ([0, 0, 0], 0))


def test_a_grid_that_lies_otherwise_in_memory_gives_the_same() -> None:
    other = dataclasses.replace(GRID, labels=np.ascontiguousarray(LABELS))
    assert np.array_equal(cells(other), cells(GRID))


def test_the_message_of_ros() -> None:
    pytest.importorskip('foxglove_msgs.msg')
    from gdfusion_ros.ros.factory import RclpyMessages

    message = voxels(GRID, RclpyMessages())
    assert (message.column_count, message.row_count, message.slice_stride) == (3, 4, 60)
    assert bytes(message.data) == cells(GRID).tobytes()
