"""Maps of costs on the ground: where they lie, and several of one drive laid over each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import GridPose, Matrix

UNSEEN = -2
"""Of a cell that no camera saw; what is published for it is UNKNOWN."""


@dataclass(frozen=True, eq=False)
class Costmap:
    """Square cells in the frame ``frame_id`` at ``stamp`` [ns].

    Attributes:
        stamp: When.
        frame_id: Of TF.
        lower: Corner of cell (0, 0) [m].
        ground: z of the cells [m].
        resolution: Edge of a cell [m].
        cells: (X, Y) int8 costs.
        pose: Of the frame in the one that the vehicle drives in; None where it is not known.
    """

    stamp: int
    frame_id: str
    lower: tuple[float, float]
    ground: float
    resolution: float
    cells: NDArray[np.int8]
    pose: GridPose | None


def around(costs: Costmap) -> Costmap:
    """A map of unseen cells along the axes of the fixed frame that holds ``costs``, however it is turned.

    Its cells are at multiples of their size: what stands still stays in its cell from one map to the next.

    Raises:
        GdfusionError: the pose is not known.
    """
    pose = _pose(costs)
    half = np.array(costs.cells.shape) * costs.resolution / 2
    centre = _moved(pose.fixed_from_grid, costs.lower[0] + half[0], costs.lower[1] + half[1], costs.ground)
    reach = math.ceil(math.hypot(*half) / costs.resolution)
    x, y = (math.floor(float(value) / costs.resolution) - reach for value in centre[:2])
    cells = np.full((2 * reach + 1, 2 * reach + 1), UNSEEN, np.int8)
    return Costmap(
        costs.stamp,
        pose.fixed_frame,
        (x * costs.resolution, y * costs.resolution),
        float(centre[2]),
        costs.resolution,
        cells,
        GridPose(pose.fixed_frame, np.eye(4)),
    )


def merged(target: Costmap, maps: Iterable[Costmap]) -> Costmap:
    """``target`` with the costs of the first of ``maps`` that saw each of its cells; they are sampled at its centres.

    Raises:
        GdfusionError: a pose is not known.
    """
    cells = np.full_like(target.cells, UNSEEN)
    for source in maps:
        cells = np.where(cells == UNSEEN, target.cells if source is target else _sampled(source, target), cells)
    return replace(target, cells=cells)


def _sampled(source: Costmap, target: Costmap) -> NDArray[np.int8]:
    """(X, Y) costs of ``source`` at the centres of the cells of ``target``."""
    size_x, size_y = target.cells.shape
    x = target.lower[0] + (np.arange(size_x)[:, None] + 0.5) * target.resolution
    y = target.lower[1] + (np.arange(size_y) + 0.5) * target.resolution
    source_from_target = product(inverse(_pose(source).fixed_from_grid), _pose(target).fixed_from_grid)
    places = _moved(source_from_target, x, y, target.ground)
    i, j = (np.floor((place - lower) / source.resolution) for place, lower in zip(places, source.lower, strict=False))
    inside = (i >= 0) & (i < source.cells.shape[0]) & (j >= 0) & (j < source.cells.shape[1])
    cells = np.full(target.cells.shape, UNSEEN, np.int8)
    cells[inside] = source.cells[i[inside].astype(np.intp), j[inside].astype(np.intp)]
    return cells


def _moved(
    transform: Matrix, x: NDArray[np.float64] | float, y: NDArray[np.float64] | float, z: float
) -> tuple[NDArray[np.float64], ...]:
    """x, y, z of points of the source frame in the target frame."""
    return tuple(np.asarray(row[0] * x + row[1] * y + (row[2] * z + row[3])) for row in transform[:3])


def _pose(costs: Costmap) -> GridPose:
    if costs.pose is None:
        raise GdfusionError(f"bev: the pose of '{costs.frame_id}' is not known; take bev_frame: grid, bev_decay: 0")
    return costs.pose
