"""Models and objects as flat arrays for compiled code, and a coarse map of what stands where."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.objects.solids import Floats, bounds
from gdfusion_ros.synthetic.rendering.compiled import kernel
from gdfusion_ros.synthetic.world import SURFACE_LABELS, Ground, Model, Part, Surface, World, WorldObject

Ints = NDArray[np.int32]
CELL = 8.0
"""Edge of the cells of the map of objects [m]."""
NEAR = 0.8
"""Objects are listed in all cells that are within this of their boxes [m]."""

_STRAIGHT = 1 - 1e-9
_FOOT = 0.7


class Shapes(NamedTuple):
    """All parts of all models; part p of model m is in ``model_start[m]`` .. ``model_start[m + 1]``.

    Attributes:
        boxes: (P, 6) lower and upper corner of the box along the axes that a part fills or is cut from.
        planes: (N, 4) the half-spaces that are not along an axis; those of part p begin at ``plane_start[p]``.
        plane_start: (P + 1,).
        quadrics: (P, 6) centre and one over the radii, 0 for an infinite radius.
        curved: (P,) whether the quadric bounds anything.
        materials: (P,) world.Material.
        colors: (P, 3) linear RGB.
        model_start: (M + 1,).
        model_boxes: (M, 6) lower and upper corner of the box round all parts.
        model_feet: (M, 4) x from, y from, x to, y to of what is near the ground; empty (from > to) if nothing is.
        model_labels: (M,) class of the model.
    """

    boxes: Floats
    planes: Floats
    plane_start: Ints
    quadrics: Floats
    curved: NDArray[np.bool_]
    materials: NDArray[np.uint8]
    colors: NDArray[np.float32]
    model_start: Ints
    model_boxes: Floats
    model_feet: Floats
    model_labels: NDArray[np.uint8]


class Placement(NamedTuple):
    """Where objects stand at one time, listed by the cells of a map.

    Attributes:
        poses: (I, 4) x, y, cosine and sine of the yaw.
        models: (I,) the object's model in Shapes.
        radii: (I,) [m] of the upright cylinder round the object, about its origin.
        tops: (I,) upper end [m].
        corner: (2,) x and y where the map begins [m].
        cell_start: (X * Y + 1,) where the objects of a cell begin in ``members``.
        members: objects by cells.
        cell_tops: (X, Y) upper end of the highest object in a cell [m].
    """

    poses: Floats
    models: Ints
    radii: Floats
    tops: Floats
    corner: Floats
    cell_start: Ints
    members: Ints
    cell_tops: Floats


class GroundMap(NamedTuple):
    """world.Ground for compiled code: the map, x and y of its corner, its cell [m], the class of every Surface."""

    surfaces: NDArray[np.uint8]
    corner: Floats
    cell: float
    labels: NDArray[np.uint8]


def pack_ground(ground: Ground) -> GroundMap:
    """The ground as arrays."""
    labels = np.array([SURFACE_LABELS[surface] for surface in Surface], np.uint8)
    return GroundMap(np.ascontiguousarray(ground.surfaces), np.array(ground.origin, float), float(ground.cell), labels)


def pack_models(models: Sequence[Model]) -> Shapes:
    """The parts of models as arrays.

    Raises:
        ValueError: a part has no end in some direction.
    """
    parts = [part for model in models for part in model.parts]
    boxes = np.array([np.concatenate(bounds(part)) for part in parts]).reshape(-1, 6)
    if not np.isfinite(boxes).all():
        raise ValueError('a part of a model has no end in some direction')
    planes = [_slanted(part) for part in parts]
    model_start = _starts([len(model.parts) for model in models])
    ranges = [boxes[start:end] for start, end in itertools.pairwise(model_start)]
    model_boxes = np.array([np.concatenate((rows[:, :3].min(0), rows[:, 3:].max(0))) for rows in ranges])
    with np.errstate(divide='ignore'):
        quadrics = np.array([np.concatenate((part.centre, 1 / part.radii)) for part in parts])
    return Shapes(
        boxes,
        np.concatenate([np.empty((0, 4)), *planes]),
        _starts([len(rows) for rows in planes]),
        quadrics.reshape(-1, 6),
        np.array([bool(np.isfinite(part.radii).any()) for part in parts], np.bool_),
        np.array([part.material for part in parts], np.uint8),
        np.array([part.color for part in parts], np.float32).reshape(-1, 3),
        model_start,
        model_boxes.reshape(-1, 6),
        np.array([_foot(rows) for rows in ranges]).reshape(-1, 4),
        np.array([model.label for model in models], np.uint8),
    )


class Cast:
    """The objects of a world as arrays at any time.

    Attributes:
        shapes: their models.
        models: (I,) model of every object in ``shapes``.
    """

    def __init__(self, objects: Sequence[WorldObject]) -> None:
        """Pack the models of ``objects``."""
        distinct = {id(item.model): item.model for item in objects}
        numbers = {key: number for number, key in enumerate(distinct)}
        self.shapes = pack_models(list(distinct.values()))
        self.models = np.array([numbers[id(item.model)] for item in objects], np.int32)
        self._resting = np.array([item.trajectory.poses[0] for item in objects], float).reshape(-1, 3)
        self._moving = [
            (index, item.trajectory) for index, item in enumerate(objects) if len(item.trajectory.times) > 1
        ]

    def place(self, time: float) -> Placement:
        """Where everything is at ``time`` [s]."""
        poses = self._resting.copy()
        for index, trajectory in self._moving:
            poses[index] = trajectory.at(time)
        placed = np.column_stack((poses[:, :2], np.cos(poses[:, 2]), np.sin(poses[:, 2])))
        boxes = self.shapes.model_boxes[self.models]
        radii = np.hypot(*(np.abs(boxes[:, sides]).max(axis=1, initial=0) for sides in ((0, 3), (1, 4))))
        tops = np.ascontiguousarray(boxes[:, 5])
        corner, shape = _extent(placed, radii)
        rectangles = _rectangles(placed, boxes)
        first = np.floor((rectangles[:, :2] - NEAR - corner) / CELL).astype(np.int32)
        last = np.floor((rectangles[:, 2:] + NEAR - corner) / CELL).astype(np.int32)
        cell_start, cell_tops = np.zeros(shape[0] * shape[1] + 1, np.int32), np.full(shape, -np.inf)
        _count(first, last, tops, cell_tops, cell_start)
        members = np.empty(cell_start[-1], np.int32)
        _list(first, last, shape[1], cell_start.copy(), members)
        return Placement(placed, self.models, radii, tops, corner, cell_start, members, cell_tops)


@functools.lru_cache(maxsize=2)
def cast_of(world: World) -> Cast:
    """The objects of a world as arrays; remembered, since a world is looked at many times."""
    return Cast(world.objects)


def _slanted(part: Part) -> Floats:
    rows: Floats = part.planes[np.abs(part.planes[:, :3]).max(axis=1, initial=0) < _STRAIGHT]
    return rows


def _starts(counts: Sequence[int]) -> Ints:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int32)


def _foot(boxes: Floats) -> Floats:
    low = boxes[boxes[:, 2] < _FOOT]
    return np.concatenate((low[:, :2].min(axis=0, initial=np.inf), low[:, 3:5].max(axis=0, initial=-np.inf)))


def _extent(poses: Floats, radii: Floats) -> tuple[Floats, tuple[int, int]]:
    """Corner [m] and (X, Y) cells of a map that holds all objects."""
    if len(poses) == 0:
        return np.zeros(2), (1, 1)
    lower = (poses[:, :2] - radii[:, None]).min(axis=0) - NEAR
    upper = (poses[:, :2] + radii[:, None]).max(axis=0) + NEAR
    columns, rows = np.floor((upper - lower) / CELL).astype(int) + 1
    return lower, (int(columns), int(rows))


def _rectangles(poses: Floats, boxes: Floats) -> Floats:
    """(I, 4) x from, y from, x to, y to round the turned boxes of objects, in the world."""
    centres, extents = (boxes[:, 3:5] + boxes[:, :2]) / 2, (boxes[:, 3:5] - boxes[:, :2]) / 2
    cos, sin = poses[:, 2], poses[:, 3]
    x = poses[:, 0] + cos * centres[:, 0] - sin * centres[:, 1]
    y = poses[:, 1] + sin * centres[:, 0] + cos * centres[:, 1]
    half_x = np.abs(cos) * extents[:, 0] + np.abs(sin) * extents[:, 1]
    half_y = np.abs(sin) * extents[:, 0] + np.abs(cos) * extents[:, 1]
    return np.column_stack((x - half_x, y - half_y, x + half_x, y + half_y))


@kernel
def _count(first: Ints, last: Ints, tops: Floats, cell_tops: Floats, start: Ints) -> None:
    """Fill ``cell_tops`` and ``cell_start`` of Placement; they come as -inf and zeros."""
    rows = cell_tops.shape[1]
    for item in range(len(tops)):
        for column in range(first[item, 0], last[item, 0] + 1):
            for row in range(first[item, 1], last[item, 1] + 1):
                start[column * rows + row + 1] += 1
                cell_tops[column, row] = max(cell_tops[column, row], tops[item])
    for cell in range(len(start) - 1):
        start[cell + 1] += start[cell]


@kernel
def _list(first: Ints, last: Ints, rows: int, free: Ints, members: Ints) -> None:
    """Fill ``members`` of Placement; ``free`` is a copy of ``cell_start`` and is used up."""
    for item in range(len(first)):
        for column in range(first[item, 0], last[item, 0] + 1):
            for row in range(first[item, 1], last[item, 1] + 1):
                members[free[column * rows + row]] = item
                free[column * rows + row] += 1
