"""Convex parts: boxes, tapered boxes, extruded outlines, cones, cylinders, ellipsoids, bars, and the space they take.

All lengths are metres in the frame of the model: x forward, y left, z up, the origin on the ground below its centre.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.world import Material, Part

Floats = NDArray[np.float64]
Vector = tuple[float, float, float]
Finish = tuple[Material, Vector]
"""Material and colour (linear RGB, 0..1) of a part."""
Rectangle = tuple[float, float, float, float]
"""x from, x to, y from, y to."""

X, Y, Z = range(3)
_INSIDE = 1e-9


def part(
    planes: Sequence[Sequence[float]] | Floats,
    finish: Finish,
    centre: Vector = (0.0, 0.0, 0.0),
    radii: Vector = (math.inf, math.inf, math.inf),
) -> Part:
    """The part within half-spaces and a quadric (see world.Part); normals may have any length."""
    rows = np.array(planes, float).reshape(-1, 4)
    rows = rows / np.linalg.norm(rows[:, :3], axis=1, keepdims=True)
    return Part(rows, np.array(centre, float), np.array(radii, float), *finish)


def box(lower: Vector, upper: Vector, finish: Finish) -> Part:
    """A box along the axes between two corners."""
    return part(_walls(range(3), lower, upper), finish)


def tapered(bottom: Rectangle, top: Rectangle, heights: tuple[float, float], finish: Finish) -> Part:
    """Between a rectangle at the lower and one at the upper of two heights; the upper may be a line or a point."""
    low, high = heights
    planes = [(0.0, 0.0, -1.0, -low), (0.0, 0.0, 1.0, high)]
    for side, (near, far) in enumerate(zip(bottom, top, strict=True)):
        sign = 1.0 if side % 2 else -1.0
        across, lean = sign * (high - low), sign * (near - far)
        offset = across * near + lean * low
        planes.append((across, 0.0, lean, offset) if side < 2 else (0.0, across, lean, offset))
    return part(planes, finish)


def extruded(outline: Sequence[tuple[float, float]], axis: int, extent: tuple[float, float], finish: Finish) -> Part:
    """A convex polygon drawn along ``axis``.

    ``outline`` holds its corners in the two other axes, in their order (x before y before z), counter-clockwise in a
    picture with the first of them to the right and the second up.
    """
    first, second = (other for other in range(3) if other != axis)
    planes = []
    for (a, b), (c, d) in itertools.pairwise((*outline, outline[0])):
        plane = [0.0, 0.0, 0.0, (d - b) * a - (c - a) * b]
        plane[first], plane[second] = d - b, a - c
        planes.append(plane)
    return part([*planes, *_walls((axis,), (extent[0],) * 3, (extent[1],) * 3)], finish)


def cone(base: Vector, radii: tuple[float, float], height: float, finish: Finish, sides: int = 10) -> Part:
    """An upright cone with flat sides on ``base``, the centre of its foot, with its radii at foot and tip."""
    foot, tip = radii
    angles = (np.arange(sides) + 0.5) * (2 * math.pi / sides)
    normals = np.column_stack((np.cos(angles) * height, np.sin(angles) * height, np.full(sides, foot - tip)))
    offsets = normals @ np.array(base) + foot * height
    return part(
        np.vstack((np.column_stack((normals, offsets)), _walls((Z,), base, (0.0, 0.0, base[2] + height)))), finish
    )


def cylinder(axis: int, centre: Vector, radius: float, length: float, finish: Finish) -> Part:
    """A round bar of some length along an axis."""
    radii = [radius] * 3
    radii[axis] = math.inf
    lower, upper = (tuple(value + sign * length / 2 for value in centre) for sign in (-1, 1))
    return part(_walls((axis,), lower, upper), finish, centre, (radii[0], radii[1], radii[2]))


def ellipsoid(centre: Vector, radii: Vector, finish: Finish) -> Part:
    """A ball with a radius along each axis."""
    return part((), finish, centre, radii)


def dome(centre: Vector, radii: Vector, finish: Finish) -> Part:
    """The upper half of a ball."""
    return part([(0.0, 0.0, -1.0, -centre[2])], finish, centre, radii)


def bar(start: Vector, end: Vector, thickness: tuple[float, float], finish: Finish) -> Part:
    """A straight bar between two points, not above one another, as thick across the ground and upwards as given."""
    direction = np.subtract(end, start)
    length = float(np.linalg.norm(direction))
    along = direction / length
    side = np.cross((0.0, 0.0, 1.0), along) if abs(along[2]) < 0.999 else np.array((0.0, 1.0, 0.0))
    side = side / np.linalg.norm(side)
    middle, planes = np.add(start, end) / 2, []
    for normal, extent in ((along, length), (side, thickness[0]), (np.cross(along, side), thickness[1])):
        planes += [(*(sign * normal), sign * normal @ middle + extent / 2) for sign in (-1.0, 1.0)]
    return part(planes, finish)


def bounds(solid: Part) -> tuple[Floats, Floats]:
    """(3,) lower and (3,) upper corner of the box along the axes round a part; infinite where nothing bounds it."""
    lower, upper = solid.centre - solid.radii, solid.centre + solid.radii
    straight = np.abs(solid.planes[:, :3]).max(axis=1, initial=0) > 1 - _INSIDE
    for plane in solid.planes[straight]:
        axis = int(np.abs(plane[:3]).argmax())
        if plane[axis] > 0:
            upper[axis] = min(upper[axis], plane[3])
        else:
            lower[axis] = max(lower[axis], -plane[3])
    if straight.all():
        return lower, upper
    corners = _corners(solid.planes)
    if len(corners) == 0:
        return lower, upper
    return np.maximum(lower, corners.min(axis=0)), np.minimum(upper, corners.max(axis=0))


def _corners(planes: Floats) -> Floats:
    """(n, 3) corners of the polyhedron within half-spaces: where three planes meet and no fourth cuts them off."""
    triples = planes[np.array(list(itertools.combinations(range(len(planes)), 3)), int).reshape(-1, 3)]
    triples = triples[np.abs(np.linalg.det(triples[..., :3])) > _INSIDE]
    points = np.linalg.solve(triples[..., :3], triples[..., 3:])[..., 0]
    corners: Floats = points[(points @ planes[:, :3].T <= planes[:, 3] + 1e-6).all(axis=1)]
    return corners


def _walls(axes: Sequence[int], lower: Sequence[float], upper: Sequence[float]) -> list[list[float]]:
    planes = []
    for axis in axes:
        for sign, limit in ((-1.0, lower[axis]), (1.0, upper[axis])):
            plane = [0.0, 0.0, 0.0, sign * limit]
            plane[axis] = sign
            planes.append(plane)
    return planes
