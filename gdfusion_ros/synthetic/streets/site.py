"""Where objects are put: a plan of the free land, the objects that stand on it and the ground that they bring along."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.streets.ground import Patch
from gdfusion_ros.synthetic.streets.paths import Path, Points, rectangle
from gdfusion_ros.synthetic.world import Model, Trajectory, WorldObject

_CELL = 0.2  # [m] of the plan
_LAND, _STREET, _TAKEN = range(3)
_FOOTPRINTS = {'tree': (0.8, 0.8), 'street_light': (0.4, 0.4), 'traffic_light': (0.4, 0.4), 'sign': (0.4, 0.4)}
"""Kinds that need less room on the ground than above it -> (length, width) [m]."""


@dataclass(frozen=True, eq=False)
class Edge:
    """A place on the edge of the land: ``origin`` and ``yaw`` of its frame, u along the edge, v into the land."""

    origin: Points
    yaw: float

    def at(self, u: float, v: float) -> tuple[float, float]:
        """World coordinates."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return float(self.origin[0] + c * u - s * v), float(self.origin[1] + s * u + c * v)

    def rectangle(self, u: tuple[float, float], v: tuple[float, float]) -> Points:
        """(4, 2) outline in world coordinates of a rectangle between two u and two v."""
        x, y = self.at(sum(u) / 2, sum(v) / 2)
        return rectangle(x, y, self.yaw, u[1] - u[0], v[1] - v[0])


class Site:
    """Objects put so far; nothing is put on what is taken, nor far from the way that is filmed."""

    def __init__(self, size: tuple[float, float], way: Points, reach: float, rng: Generator) -> None:
        """An empty site.

        Args:
            size: Of the land, which is [0, size] [m].
            way: (n, 2) points of the way that is filmed.
            reach: How far from it the land is furnished [m].
            rng: Chooses how objects look.
        """
        self.objects: list[WorldObject] = []
        self.yards: list[Patch] = []
        self.driveways: list[Patch] = []
        self.rng = rng
        self._plan = np.full([math.ceil(length / _CELL) for length in size], _LAND, np.uint8)
        self._way = way
        self._reach = reach

    def near(self, x: float, y: float, reach: float | None = None) -> bool:
        """Whether a place lies within ``reach`` of the way, the site's own by default."""
        distance = np.linalg.norm(self._way - (x, y), axis=1).min()
        return bool(distance < (self._reach if reach is None else reach))

    def free(self, outline: Points) -> bool:
        """Whether nothing stands within an (n, 2) outline."""
        return self._highest(outline) < _TAKEN

    def is_land(self, outline: Points) -> bool:
        """Whether all of an (n, 2) outline is free and no part of a street."""
        return self._highest(outline) == _LAND

    def take(self, outline: Points) -> None:
        """Keep what lies within an (n, 2) outline free of objects put later."""
        self._raise(outline, _TAKEN)

    def mark_street(self, outline: Points) -> None:
        """Say that what lies within an (n, 2) outline belongs to a street."""
        self._raise(outline, _STREET)

    def put(self, what: str | Model, place: tuple[float, float], yaw: float, margin: float = 0.1) -> bool:
        """Put a model, or a new one of a kind of the catalogue, if there is room with ``margin`` metres all round."""
        if not self.near(*place):
            return False
        model = catalogue.make(what, self.rng) if isinstance(what, str) else what
        length, width = _FOOTPRINTS.get(model.kind, model.size[:2])
        outline = rectangle(*place, yaw, length + 2 * margin, width + 2 * margin)
        if not self.free(outline):
            return False
        self.take(outline)
        self.add(model, place, yaw)
        return True

    def add(self, what: str | Model, place: tuple[float, float], yaw: float) -> None:
        """Put a model, or a new one of a kind of the catalogue, without asking whether there is room."""
        model = catalogue.make(what, self.rng) if isinstance(what, str) else what
        self.objects.append(WorldObject(model, Trajectory(np.zeros(1), np.array([[*place, yaw]]))))

    def row(self, kind: str, start: tuple[float, float], end: tuple[float, float], gap: float = 0.0) -> None:
        """Put objects of a kind along a straight line, their longer sides on it, as many as there is room for."""
        if not self.near(*start):
            return
        vector = np.subtract(end, start)
        length, yaw = float(np.linalg.norm(vector)), math.atan2(vector[1], vector[0])
        model = catalogue.make(kind, self.rng)
        if model.size[1] > model.size[0]:
            yaw += math.pi / 2
        step = max(model.size[:2]) + gap
        for station in np.arange(step / 2, length - step / 2 + 1e-6, step):
            x, y = np.add(start, vector * (station / length))
            self.put(model, (float(x), float(y)), yaw, margin=-0.1)

    def _highest(self, outline: Points) -> int:
        """The most that is known of any cell within an outline; what lies outside the plan is taken."""
        window, inside = self._cells(outline)
        there = self._plan[window]
        return int(there[inside].max(initial=_LAND)) if there.shape == inside.shape else _TAKEN

    def _raise(self, outline: Points, level: int) -> None:
        window, inside = self._cells(outline)
        there = self._plan[window]
        inside = inside[: there.shape[0], : there.shape[1]]
        there[inside] = np.maximum(there[inside], level)

    def _cells(self, outline: Points) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """The window of the plan round an outline, and which of its cells lie inside."""
        cells = outline / _CELL - 0.5
        lower = np.maximum(np.floor(cells.min(axis=0)).astype(int), 0)
        size = np.ceil(cells.max(axis=0)).astype(int) + 1 - lower
        image = Image.new('1', (max(int(size[0]), 1), max(int(size[1]), 1)))
        ImageDraw.Draw(image).polygon((cells - lower).ravel().tolist(), fill=1)
        window = slice(lower[0], lower[0] + image.width), slice(lower[1], lower[1] + image.height)
        return window, np.asarray(image).T


def edges(path: Path, start: float, end: float, steps: Iterator[float]) -> Iterator[tuple[Edge, float]]:
    """Places along a path whose left side is land, one after the other, each in the middle of a step of that length."""
    station = start
    for step in steps:
        if station + step > end:
            return
        middle = station + step / 2
        yield Edge(path.at(middle), path.heading(middle)), step
        station += step
