"""The bird's-eye view in parts: the whole map where it lies elsewhere than before, else what changed of it.

As costmaps of Nav2 are published: ``nav_msgs/OccupancyGrid`` on one topic, ``map_msgs/OccupancyGridUpdate`` on another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.messages.bev import Bev, on_wire, published, whole
from gdfusion_ros.messages.costmap import Costmap
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.perception.types import SemanticGrid

UPDATE_TYPE = 'map_msgs/msg/OccupancyGridUpdate'

_LARGE = 0.25  # of a map: updates only grow, until a whole one lets them begin anew


class BevUpdates:
    """Makes of each grid the whole map, or an update of the last whole one.

    An update covers every cell that was other than in that map at any time since. So the last whole map and the last
    update give the present map, whatever was lost between, and also to those who come late.
    """

    def __init__(self, bev: Bev) -> None:
        """``bev`` gives the maps."""
        self._bev = bev
        self._grid: SemanticGrid | None = None
        self._map: Costmap | None = None
        self._base: Costmap | None = None
        self._touched: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)

    def message(self, grid: SemanticGrid, make: MessageFactory) -> Message | None:
        """``nav_msgs/OccupancyGrid``; None where updates of the last one will do.

        Raises:
            GdfusionError: as ``Bev.costs`` does.
        """
        now = self._costs(grid)
        if self._base is not None and _same_place(self._base, now):
            columns, rows = _bounds(self._touched)
            if _length(columns) * _length(rows) <= _LARGE * now.cells.size:
                return None
        self._base, self._touched = now, np.zeros(now.cells.shape, np.bool_)
        return whole(now, make)

    def update(self, grid: SemanticGrid, make: MessageFactory) -> Message | None:
        """``map_msgs/OccupancyGridUpdate``, to be made after ``message``; None where the last whole map says it all.

        Raises:
            GdfusionError: as ``Bev.costs`` does.
        """
        now = self._costs(grid)
        if self._base is None or not _same_place(self._base, now):
            return None  # nobody has the map that this one changes
        self._touched |= published(now.cells) != published(self._base.cells)
        columns, rows = _bounds(self._touched)
        if not _length(columns):
            return None
        return make(
            UPDATE_TYPE,
            header=header(now.stamp, now.frame_id, make),
            x=columns.start,
            y=rows.start,
            width=_length(columns),
            height=_length(rows),
            data=make.array(on_wire(now.cells[columns, rows])),
        )

    def _costs(self, grid: SemanticGrid) -> Costmap:
        """The map of a grid, which both messages ask for."""
        if self._map is None or grid is not self._grid:
            self._grid, self._map = grid, self._bev.costs(grid)
        return self._map


def _same_place(one: Costmap, other: Costmap) -> bool:
    """Whether two maps have the same cells; an update cannot change their height, which nobody plans by."""
    return (one.frame_id, one.lower, one.resolution, one.cells.shape) == (
        other.frame_id,
        other.lower,
        other.resolution,
        other.cells.shape,
    )


def _bounds(cells: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Along x and y: the smallest rectangle that holds the true cells; empty slices where there are none."""
    found = [np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0)]
    columns, rows = (slice(int(line[0]), int(line[-1]) + 1) if line.size else slice(0, 0) for line in found)
    return columns, rows


def _length(part: slice) -> int:
    return int(part.stop - part.start)
