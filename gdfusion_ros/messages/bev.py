"""The bird's-eye view that Nav2 takes: a semantic grid flattened by a height band and a cost for every class."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.costmap import UNSEEN, Costmap, around, merged
from gdfusion_ros.messages.encode import pose
from gdfusion_ros.messages.factory import Message, MessageFactory, header, time
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.types import NANOSECONDS, SemanticGrid
from gdfusion_ros.settings import GROUND, OBSTACLES, BevSettings

OCCUPIED, INSCRIBED, FREE, UNKNOWN = 100, 99, 0, -1
"""Values of ``nav_msgs/OccupancyGrid`` as Nav2 reads them; 1 to 98 are costs between."""

_NAMED = {'lethal': OCCUPIED, 'inscribed': INSCRIBED, 'free': FREE, 'unknown': UNKNOWN}
_MOST = 50  # grids that are remembered


def require_classes(settings: BevSettings, label_set: LabelSet) -> None:
    """Refuse classes that a label set does not have, and costs that there are not.

    Raises:
        GdfusionError: names the setting, the class and those that there are.
    """
    for name, read in (
        ('bev_occupied', members),
        ('bev_free', members),
        ('obstacle_classes', members),
        ('bev_costs', _read_costs),
    ):
        try:
            read(label_set, getattr(settings, name))
        except GdfusionError as error:
            raise GdfusionError(f"setting '{name}': {error}") from error


class Bev:
    """Makes the bird's-eye view of one grid after the other, and remembers what is out of sight for a while."""

    def __init__(self, settings: BevSettings) -> None:
        """Nothing is remembered yet."""
        self._settings = settings
        self._past: deque[Costmap] = deque(maxlen=_MOST)

    def remember(self, grid: SemanticGrid) -> None:
        """Keep what a grid says, newest first; every grid is to be told, whether or not its message is made."""
        if not self._settings.bev_decay:
            return
        if grid.frames_since_reset == 1:
            self._past.clear()
        oldest = grid.stamp - self._settings.bev_decay * NANOSECONDS
        while self._past and self._past[-1].stamp < oldest:
            self._past.pop()
        self._past.appendleft(costmap(grid, self._settings))

    def costs(self, grid: SemanticGrid) -> Costmap:
        """The map of a grid, along the axes that the settings choose, with what was seen before and is out of sight.

        Raises:
            GdfusionError: voxels that are not square seen from above, a class that the grid's label set does not have,
                or fixed axes for a grid that has no pose.
        """
        now = costmap(grid, self._settings)
        target = around(now) if self._settings.bev_frame == 'fixed' else now
        return merged(target, [now, *self._past]) if target is not now or self._past else target

    def message(self, grid: SemanticGrid, make: MessageFactory) -> Message:
        """``nav_msgs/OccupancyGrid`` of a grid; raises as ``costs`` does."""
        return whole(self.costs(grid), make)


def whole(costs: Costmap, make: MessageFactory) -> Message:
    """``nav_msgs/OccupancyGrid``, at the height of the ego frame's origin.

    Row-major with x fastest from the lower corner, as REP-103 axes and nav_msgs want it: cell (x, y) is
    ``data[x + width * y]``.
    """
    width, height = costs.cells.shape
    info = make(
        'nav_msgs/msg/MapMetaData',
        map_load_time=time(costs.stamp, make),
        resolution=costs.resolution,
        width=width,
        height=height,
        origin=pose((*costs.lower, costs.ground), make),
    )
    return make(
        'nav_msgs/msg/OccupancyGrid',
        header=header(costs.stamp, costs.frame_id, make),
        info=info,
        data=make.array(on_wire(costs.cells)),
    )


def on_wire(costs: NDArray[np.int8]) -> NDArray[np.int8]:
    """(X, Y) costs with the values and in the order of nav_msgs, one after the other."""
    return published(costs).reshape(-1, order='F')


def published(costs: NDArray[np.int8]) -> NDArray[np.int8]:
    """Costs as a planner gets them: what nobody has seen is unknown."""
    return np.maximum(costs, UNKNOWN).astype(np.int8)


def costmap(grid: SemanticGrid, settings: BevSettings) -> Costmap:
    """The columns of a grid, where they lie.

    Raises:
        GdfusionError: voxels that are not square seen from above, or a class that the grid's label set does not have.
    """
    resolution, size = grid.voxel_size[0], grid.voxel_size[1]
    if resolution != size:
        raise GdfusionError(f'bev: cells must be square, the voxels are {resolution} x {size} m')
    return Costmap(
        grid.stamp, grid.frame_id, grid.origin[:2], -grid.height, resolution, columns(grid, settings), grid.pose
    )


def columns(grid: SemanticGrid, settings: BevSettings) -> NDArray[np.int8]:
    """(X, Y) int8: the highest cost in each column, UNKNOWN where nothing costs, UNSEEN where the cameras saw nothing.

    A voxel belongs to the height band when its centre does. Ground, and what is free, counts at or below the band, all
    else within it. Nothing is free, and no ground costs, that was not seen; what blocks does in any column that was.

    Raises:
        GdfusionError: a class that the grid's label set does not have.
    """
    heights = grid.height + grid.origin[2] + (np.arange(grid.labels.shape[2]) + 0.5) * grid.voxel_size[2]
    below = heights <= settings.bev_max_height
    band = (heights >= settings.bev_min_height)[below]
    labels, observed = grid.labels[:, :, below], grid.observed[:, :, below]
    costs = _costs(grid.label_set, settings)
    carries = (costs == FREE) | members(grid.label_set, (GROUND,))
    surface = np.where(observed, np.where(carries, costs, UNKNOWN)[labels], UNKNOWN)
    within = np.where(carries, UNKNOWN, costs)[labels[:, :, band]]
    cells = np.maximum(surface.max(axis=2, initial=UNKNOWN), within.max(axis=2, initial=UNKNOWN))
    return np.where(observed.any(axis=2), cells, UNSEEN).astype(np.int8)


def members(label_set: LabelSet, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """(256,) whether a label is one of the named classes, or groups of classes.

    Raises:
        GdfusionError: the label set does not have one of them.
    """
    groups = {GROUND: label_set.ground, OBSTACLES: {*label_set.ids} - {*label_set.ground, label_set.free}}
    table = np.zeros(256, np.bool_)
    for name in names:
        try:
            table[list(groups[name] if name in groups else {label_set.by_name(name).id})] = True
        except GdfusionError as error:
            raise GdfusionError(f'{error}, {GROUND} and {OBSTACLES}') from error
    return table


def _costs(label_set: LabelSet, settings: BevSettings) -> NDArray[np.int8]:
    """(256,) what each label costs."""
    table = np.full(256, UNKNOWN, np.int8)
    table[members(label_set, settings.bev_free)] = FREE
    table[members(label_set, settings.bev_occupied)] = OCCUPIED
    for chosen, cost in _read_costs(label_set, settings.bev_costs):
        table[chosen] = cost
    return table


def _read_costs(label_set: LabelSet, lines: tuple[str, ...]) -> list[tuple[NDArray[np.bool_], int]]:
    """Of each '<class>: <cost>' its labels, as ``members`` gives them, and its cost.

    Raises:
        GdfusionError: a line that is none, or a class that the label set does not have.
    """
    found = []
    for line in lines:
        name, _, said = (part.strip() for part in line.partition(':'))
        if said not in _NAMED and not (said.isdecimal() and FREE <= int(said) <= OCCUPIED):
            raise GdfusionError(f"expected '<class>: <cost>', the cost {', '.join(_NAMED)} or 0 to 100, got '{line}'")
        found.append((members(label_set, (name,)), _NAMED[said] if said in _NAMED else int(said)))
    return found
