"""The bird's-eye view that Nav2 takes: a semantic grid flattened by a height band and a policy for every class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.encode import pose
from gdfusion_ros.messages.factory import Message, MessageFactory, header, time
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import setting

OCCUPIED, FREE, UNKNOWN = 100, 0, -1

GROUND, OBSTACLES = 'ground', 'obstacles'
"""What a vehicle can stand on, and all else that is not free: of any label set."""


@dataclass(frozen=True)
class BevSettings:
    """Which voxels block a column of the grid, and which make it free to drive on.

    Classes go by the names that the network's label set gives them, or by GROUND and OBSTACLES.
    """

    bev_min_height: float = setting(0.2, 'Lower edge of the height band that can block [m above the ego frame].',
                                    low=-100.0, high=100.0)
    bev_max_height: float = setting(2.0, 'Upper edge of the height band: what is higher is driven under [m].',
                                    low=-100.0, high=100.0)
    bev_occupied: tuple[str, ...] = setting((OBSTACLES,), 'Classes that block a column (100) within the band: names of '
                                            "the network's label set; obstacles: all but ground and free.")
    bev_free: tuple[str, ...] = setting((GROUND,), 'Classes that make a column free (0) at or below the band, named '
                                        'so too; ground: what a vehicle can stand on.')

    def require(self, label_set: LabelSet) -> None:
        """Refuse classes that a label set does not have.

        Raises:
            GdfusionError: names the setting, the class and those that there are.
        """
        for name in ('bev_occupied', 'bev_free'):
            try:
                _member(label_set, getattr(self, name))
            except GdfusionError as error:
                raise GdfusionError(f"setting '{name}': {error}, {GROUND} and {OBSTACLES}") from error


def bev(grid: SemanticGrid, settings: BevSettings, make: MessageFactory) -> Message:
    """``nav_msgs/OccupancyGrid`` of the columns of the grid, at the height of the ego frame's origin.

    Row-major with x fastest from the lower corner, as REP-103 axes and nav_msgs want it: cell (x, y) is
    ``data[x + width * y]``.

    Raises:
        GdfusionError: voxels that are not square seen from above, or a class that the grid's label set does not have.
    """
    size_x, size_y, _ = grid.labels.shape
    resolution, size = grid.voxel_size[0], grid.voxel_size[1]
    if resolution != size:
        raise GdfusionError(f'bev: cells must be square, the voxels are {resolution} x {size} m')
    info = make('nav_msgs/msg/MapMetaData', map_load_time=time(grid.stamp, make), resolution=resolution, width=size_x,
                height=size_y, origin=pose((grid.origin[0], grid.origin[1], -grid.height), make))
    return make('nav_msgs/msg/OccupancyGrid', header=header(grid.stamp, grid.frame_id, make), info=info,
                data=make.array(columns(grid, settings).reshape(-1, order='F')))


def columns(grid: SemanticGrid, settings: BevSettings) -> NDArray[np.int8]:
    """(X, Y) int8: OCCUPIED where a blocking class lies in the height band, else FREE above ground, else UNKNOWN.

    A voxel belongs to the band when its centre does.

    Raises:
        GdfusionError: a class that the grid's label set does not have.
    """
    heights = grid.height + grid.origin[2] + (np.arange(grid.labels.shape[2]) + 0.5) * grid.voxel_size[2]
    below = heights <= settings.bev_max_height
    band = below & (heights >= settings.bev_min_height)
    blocks = _member(grid.label_set, settings.bev_occupied)
    carries = _member(grid.label_set, settings.bev_free)
    blocked = blocks[grid.labels[:, :, band]].any(axis=2)
    free = carries[grid.labels[:, :, below]].any(axis=2)
    cells: NDArray[np.int8] = np.select([blocked, free], [OCCUPIED, FREE], UNKNOWN).astype(np.int8)
    return cells


def _member(label_set: LabelSet, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """(256,) whether a label is one of the named classes.

    Raises:
        GdfusionError: the label set does not have one of them.
    """
    groups = {GROUND: label_set.ground, OBSTACLES: {*label_set.ids} - {*label_set.ground, label_set.free}}
    table = np.zeros(256, np.bool_)
    for name in names:
        table[list(groups[name] if name in groups else {label_set.by_name(name).id})] = True
    return table
