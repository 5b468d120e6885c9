"""Semantic grids as markers, serialized: twenty thousand cubes as objects would take a tenth of a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.messages.cdr import CdrWriter
from gdfusion_ros.messages.encode import chosen_voxels, exposed
from gdfusion_ros.perception.labels import LabelClass
from gdfusion_ros.perception.types import NANOSECONDS, SemanticGrid

# visualization_msgs/Marker
_CUBE_LIST, _ADD, _DELETE = 6, 0, 2
_EMPTY = np.empty(0, np.uint8)


def markers(grid: SemanticGrid) -> bytes:
    """``visualization_msgs/MarkerArray``, serialized: one CUBE_LIST a class. Its namespace is the class's name, which
    displays switch on and off, its id that of the class.

    Cubes that are hidden from all six sides are left out, which the display would only be slowed down by. A class
    without voxels is deleted, because RViz refuses a list without points.
    """
    centres, labels = chosen_voxels(grid, exposed(grid.occupied))
    classes = grid.label_set.occupied
    array = CdrWriter()
    array.numbers('I', len(classes))
    for label in classes:
        _marker(array, grid, label, centres[labels == label.id])
    return array.message()


def _marker(to: CdrWriter, grid: SemanticGrid, label: LabelClass, centres: NDArray[np.float32]) -> None:
    """The fields of one ``visualization_msgs/Marker`` with cubes at ``centres`` (n, 3), in their order."""
    seconds, nanoseconds = divmod(grid.stamp, NANOSECONDS)
    to.numbers('I', seconds, nanoseconds)
    to.string(grid.frame_id)
    to.string(label.name)
    to.numbers('i', label.id, _CUBE_LIST, _ADD if len(centres) else _DELETE)
    to.numbers('d', 0, 0, 0, 0, 0, 0, 1)  # pose
    to.numbers('d', *grid.voxel_size)
    to.numbers('f', *(channel / 255 for channel in label.color), 1)
    to.numbers('i', 0, 0)  # lifetime: for ever
    to.numbers('B', 0)  # frame_locked
    to.sequence(centres.astype(np.float64))
    to.sequence(_EMPTY)  # colors
    to.string('')  # texture_resource
    _no_texture(to)
    to.sequence(_EMPTY)  # uv_coordinates
    for _ in ('text', 'mesh_resource', 'mesh_file.filename'):
        to.string('')
    to.sequence(_EMPTY)  # mesh_file.data
    to.numbers('B', 0)  # mesh_use_embedded_materials


def _no_texture(to: CdrWriter) -> None:
    """An empty ``sensor_msgs/CompressedImage``."""
    to.numbers('I', 0, 0)
    to.string('')
    to.string('')
    to.sequence(_EMPTY)
