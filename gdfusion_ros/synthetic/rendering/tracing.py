"""Rays against the synthetic world: exact distances to convex parts and to the ground.

Compiled. Rays walk the map of objects cell by cell; an object is tested by its height, its round outline, its box and
then part by part. Distances are multiples of the direction's length. Solids that hold the ray's origin are not seen.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.objects.solids import Floats
from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.rendering.packing import CELL, GroundMap, Ints, Placement, Shapes
from gdfusion_ros.synthetic.world import Surface

GROUND, SKY = -1, -2
"""What ``Hits.objects`` holds where no object is hit."""

_GRASS = int(Surface.GRASS)
_CURVE, _PLANES = -1, 3
_LIFT = 2e-3
_TINY = 1e-12


class Hits(NamedTuple):
    """What rays meet first.

    Attributes:
        distances: (n,) float64, infinite in the sky.
        objects: (n,) int32 number of the object, or GROUND or SKY.
        parts: (n,) int32 number of the part in Shapes, or the Surface of the ground.
        normals: (n, 3) float32 of the surface, in the world.
        labels: (n,) uint8 class; 17 in the sky.
    """

    distances: Floats
    objects: Ints
    parts: Ints
    normals: NDArray[np.float32]
    labels: NDArray[np.uint8]


def trace(shapes: Shapes, placed: Placement, ground: GroundMap, origins: Floats, directions: Floats) -> Hits:
    """What the rays from ``origins``, (1, 3) for all or (n, 3), in ``directions`` (n, 3) meet."""
    count = len(directions)
    hits = Hits(
        np.empty(count),
        np.empty(count, np.int32),
        np.empty(count, np.int32),
        np.zeros((count, 3), np.float32),
        np.empty(count, np.uint8),
    )
    _trace(shapes, placed, ground, origins, directions, hits)
    return hits


def sunlit(
    shapes: Shapes, placed: Placement, points: Floats, normals: NDArray[np.float32], sun: Floats
) -> NDArray[np.bool_]:
    """(n,) whether ``points`` (n, 3) on surfaces see the sun in direction ``sun`` (3,); not those turned away."""
    lit = np.empty(len(points), np.bool_)
    _sunlit(shapes, placed, points, normals, sun, lit)
    return lit


@kernel
def _trace(
    shapes: Shapes, placed: Placement, ground: GroundMap, origins: Floats, directions: Floats, hits: Hits
) -> None:
    for ray in range(len(directions)):
        first = min(ray, len(origins) - 1)
        start = (origins[first, 0], origins[first, 1], origins[first, 2])
        direction = (
            _away_from_zero(directions[ray, 0]),
            _away_from_zero(directions[ray, 1]),
            _away_from_zero(directions[ray, 2]),
        )
        limit = -start[2] / direction[2] if direction[2] < 0 < start[2] else np.inf
        distance, item, part, face = _first_hit(shapes, placed, start, direction, limit, False)
        hits.distances[ray] = distance
        if item >= 0:
            hits.objects[ray], hits.parts[ray] = item, part
            hits.labels[ray] = shapes.model_labels[placed.models[item]]
            _set_normal(shapes, placed.poses[item], (part, face), start, direction, distance, hits.normals[ray])
        elif distance < np.inf:
            surface = surface_at(ground, start[0] + distance * direction[0], start[1] + distance * direction[1])
            hits.objects[ray], hits.parts[ray], hits.labels[ray] = GROUND, surface, ground.labels[surface]
            hits.normals[ray, 2] = 1
        else:
            hits.objects[ray], hits.parts[ray], hits.labels[ray] = SKY, 0, 17


@kernel
def _sunlit(
    shapes: Shapes, placed: Placement, points: Floats, normals: NDArray[np.float32], sun: Floats, lit: NDArray[np.bool_]
) -> None:
    direction = (_away_from_zero(sun[0]), _away_from_zero(sun[1]), _away_from_zero(sun[2]))
    for index in range(len(points)):
        normal = normals[index]
        lit[index] = normal[0] * direction[0] + normal[1] * direction[1] + normal[2] * direction[2] > 0
        if lit[index]:
            start = (
                points[index, 0] + _LIFT * normal[0],
                points[index, 1] + _LIFT * normal[1],
                points[index, 2] + _LIFT * normal[2],
            )
            lit[index] = _first_hit(shapes, placed, start, direction, np.inf, True)[1] < 0


@inlined
def surface_at(ground: GroundMap, x: float, y: float) -> int:
    """The Surface of the ground at a place in the world; usable in compiled code.

    The four nearest cells vote, each with its share in the place, so that slanted borders have no steps.
    """
    u, v = (x - ground.corner[0]) / ground.cell - 0.5, (y - ground.corner[1]) / ground.cell - 0.5
    i, j = math.floor(u), math.floor(v)
    u, v = u - i, v - j
    here, ahead = _cell(ground, i, j), _cell(ground, i + 1, j)
    aside, across = _cell(ground, i, j + 1), _cell(ground, i + 1, j + 1)
    if here == ahead == aside == across:
        return here
    shares = ((1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v)
    most, best = 0.0, here
    for surface in (here, ahead, aside, across):
        share = (
            shares[0] * (here == surface)
            + shares[1] * (ahead == surface)
            + shares[2] * (aside == surface)
            + shares[3] * (across == surface)
        )
        if share > most:
            most, best = share, surface
    return best


@inlined
def _cell(ground: GroundMap, column: int, row: int) -> int:
    """The Surface of a cell of the map; outside it lies grass."""
    if 0 <= column < ground.surfaces.shape[0] and 0 <= row < ground.surfaces.shape[1]:
        return int(ground.surfaces[column, row])
    return _GRASS


@inlined
def _away_from_zero(value: float) -> float:
    """A direction's component that can be divided by."""
    return value if abs(value) > _TINY else _TINY


@inlined
def _range_within(origin: float, direction: float, lower: float, upper: float) -> tuple[float, float]:
    """Between which distances a ray is between two limits of one coordinate."""
    near, far = (lower - origin) / direction, (upper - origin) / direction
    return (near, far) if direction > 0 else (far, near)


@inlined
def _first_hit(shapes: Shapes, placed: Placement, start: Any, direction: Any, limit: float, any_hit: bool) -> Any:
    """Nearest hit on a part before ``limit``: distance, object (-1: none), part, face. ``any_hit`` takes the first."""
    columns, rows = placed.cell_tops.shape
    corner_x, corner_y = placed.corner[0], placed.corner[1]
    x_from, x_to = _range_within(start[0], direction[0], corner_x, corner_x + columns * CELL)
    y_from, y_to = _range_within(start[1], direction[1], corner_y, corner_y + rows * CELL)
    enter, end = max(x_from, y_from, 0.0), min(x_to, y_to)
    best, best_object, best_part, best_face = limit, -1, 0, 0
    if enter >= end:
        return best, best_object, best_part, best_face
    column = min(max(math.floor((start[0] + enter * direction[0] - corner_x) / CELL), 0), columns - 1)
    row = min(max(math.floor((start[1] + enter * direction[1] - corner_y) / CELL), 0), rows - 1)
    step_x, step_y = (1 if direction[0] > 0 else -1), (1 if direction[1] > 0 else -1)
    stride_x, stride_y = abs(CELL / direction[0]), abs(CELL / direction[1])
    next_x = (corner_x + (column + (step_x > 0)) * CELL - start[0]) / direction[0]
    next_y = (corner_y + (row + (step_y > 0)) * CELL - start[1]) / direction[1]
    flat = math.sqrt(direction[0] * direction[0] + direction[1] * direction[1])
    while enter < best and 0 <= column < columns and 0 <= row < rows:
        leave = min(next_x, next_y)
        low = start[2] + direction[2] * (enter if direction[2] > 0 else min(leave, best))
        if low < placed.cell_tops[column, row]:
            cell = column * rows + row
            for member in range(placed.cell_start[cell], placed.cell_start[cell + 1]):
                item = placed.members[member]
                aside = (placed.poses[item, 0] - start[0]) * direction[1] - (
                    placed.poses[item, 1] - start[1]
                ) * direction[0]
                if low < placed.tops[item] and abs(aside) <= placed.radii[item] * flat:
                    distance, part, face = _hit_object(
                        shapes, placed.models[item], placed.poses[item], start, direction, best
                    )
                    if distance < best:
                        best, best_object, best_part, best_face = distance, item, part, face
                        if any_hit:
                            return best, best_object, best_part, best_face
        enter = leave
        if next_x < next_y:
            column, next_x = column + step_x, next_x + stride_x
        else:
            row, next_y = row + step_y, next_y + stride_y
    return best, best_object, best_part, best_face


@inlined
def _hit_object(shapes: Shapes, model: int, pose: Floats, start: Any, direction: Any, limit: float) -> Any:
    """Nearest hit on one object's parts before ``limit``: distance, part, face."""
    cos, sin = pose[2], pose[3]
    x, y = start[0] - pose[0], start[1] - pose[1]
    origin = (cos * x + sin * y, cos * y - sin * x, start[2])
    course = (
        _away_from_zero(cos * direction[0] + sin * direction[1]),
        _away_from_zero(cos * direction[1] - sin * direction[0]),
        direction[2],
    )
    pace = (1 / course[0], 1 / course[1], 1 / course[2])
    best, best_part, best_face = limit, 0, 0
    enter, leave, _ = _hit_box(shapes.model_boxes, model, origin, pace)
    if enter < leave and leave > 0 and enter < best:
        for part in range(shapes.model_start[model], shapes.model_start[model + 1]):
            distance, face = _hit_part(shapes, part, origin, course, pace, best)
            if distance < best:
                best, best_part, best_face = distance, part, face
    return best, best_part, best_face


@inlined
def _hit_box(boxes: Floats, index: int, origin: Any, pace: Any) -> Any:
    """Where a ray enters and leaves a box, and the axis of the face that it enters by."""
    enter, leave = _range_between(boxes[index, 0], boxes[index, 3], origin[0], pace[0])
    face = 0
    near, far = _range_between(boxes[index, 1], boxes[index, 4], origin[1], pace[1])
    if near > enter:
        enter, face = near, 1
    leave = min(leave, far)
    near, far = _range_between(boxes[index, 2], boxes[index, 5], origin[2], pace[2])
    if near > enter:
        enter, face = near, 2
    return enter, min(leave, far), face


@inlined
def _range_between(lower: float, upper: float, origin: float, pace: float) -> tuple[float, float]:
    """Between which distances a ray is between two planes across one axis."""
    near, far = (lower - origin) * pace, (upper - origin) * pace
    return (near, far) if pace > 0 else (far, near)


@inlined
def _hit_part(shapes: Shapes, part: int, origin: Any, course: Any, pace: Any, limit: float) -> Any:
    """Where a ray enters one part, and the face: 0 to 2 the box's axis, then the planes, _CURVE the quadric."""
    enter, leave, face = _hit_box(shapes.boxes, part, origin, pace)
    if enter >= leave or leave <= 0 or enter >= limit:
        return np.inf, 0
    first, planes = shapes.plane_start[part], shapes.planes
    for index in range(first, shapes.plane_start[part + 1]):
        x, y, z = planes[index, 0], planes[index, 1], planes[index, 2]
        slope = x * course[0] + y * course[1] + z * course[2]
        room = planes[index, 3] - (x * origin[0] + y * origin[1] + z * origin[2])
        if slope < 0:
            if room / slope > enter:
                enter, face = room / slope, index - first + _PLANES
        elif slope > 0:
            leave = min(leave, room / slope)
        elif room < 0:
            return np.inf, 0
        if enter >= leave or enter >= limit:
            return np.inf, 0
    if shapes.curved[part]:
        near, far = _range_in_quadric(shapes.quadrics, part, origin, course)
        if near > enter:
            enter, face = near, _CURVE
        leave = min(leave, far)
    return (enter, face) if 0 < enter < leave else (np.inf, 0)


@inlined
def _range_in_quadric(quadrics: Floats, index: int, origin: Any, course: Any) -> tuple[float, float]:
    """Where a ray enters and leaves an ellipsoid or an endless cylinder."""
    x, y, z = quadrics[index, 3], quadrics[index, 4], quadrics[index, 5]
    along_x, along_y, along_z = x * course[0], y * course[1], z * course[2]
    x, y, z = (
        x * (origin[0] - quadrics[index, 0]),
        y * (origin[1] - quadrics[index, 1]),
        z * (origin[2] - quadrics[index, 2]),
    )
    square = along_x * along_x + along_y * along_y + along_z * along_z
    mixed = x * along_x + y * along_y + z * along_z
    rest = x * x + y * y + z * z - 1
    root = mixed * mixed - square * rest
    if root <= 0:
        return np.inf, -np.inf
    root = math.sqrt(root)
    return (-mixed - root) / square, (root - mixed) / square


@inlined
def _set_normal(
    shapes: Shapes, pose: Floats, struck: Any, start: Any, direction: Any, distance: float, normal: NDArray[np.float32]
) -> None:
    """The outward normal in the world where a ray enters a face of a part."""
    part, face = struck
    cos, sin = pose[2], pose[3]
    x, y, z = 0.0, 0.0, 0.0
    if face == _CURVE:
        quadric = shapes.quadrics[part]
        east, north = start[0] + distance * direction[0] - pose[0], start[1] + distance * direction[1] - pose[1]
        x = (cos * east + sin * north - quadric[0]) * quadric[3] ** 2
        y = (cos * north - sin * east - quadric[1]) * quadric[4] ** 2
        z = (start[2] + distance * direction[2] - quadric[2]) * quadric[5] ** 2
        length = math.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
    elif face >= _PLANES:
        plane = shapes.planes[shapes.plane_start[part] + face - _PLANES]
        x, y, z = plane[0], plane[1], plane[2]
    elif face == 0:
        x = -1.0 if cos * direction[0] + sin * direction[1] > 0 else 1.0
    elif face == 1:
        y = -1.0 if cos * direction[1] - sin * direction[0] > 0 else 1.0
    else:
        z = -1.0 if direction[2] > 0 else 1.0
    normal[0], normal[1], normal[2] = cos * x - sin * y, sin * x + cos * y, z
