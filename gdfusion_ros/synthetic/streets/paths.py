"""Curves on the ground: what roads, lanes and ways are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]

_SAME = 1e-6  # [m] points closer than this are one


@dataclass(frozen=True, eq=False)
class Path:
    """A polyline: (n, 2) ``points`` [m], n > 1, no two neighbours the same. A station is the way from its start [m]."""

    points: Points

    @cached_property
    def stations(self) -> Points:
        """(n,) stations of the points."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """[m]."""
        return float(self.stations[-1])

    @property
    def start_direction(self) -> Points:
        """(2,) unit vector."""
        return unit(self.points[1] - self.points[0])

    @property
    def end_direction(self) -> Points:
        """(2,) unit vector."""
        return unit(self.points[-1] - self.points[-2])

    def at(self, station: float | Points) -> Points:
        """(..., 2) points at ``station`` (...); before the start and after the end the path stands still."""
        return np.stack([np.interp(station, self.stations, column) for column in self.points.T], -1)

    def heading(self, station: float) -> float:
        """Direction of travel [rad]."""
        back, front = self.at(max(station - 0.5, 0.0)), self.at(min(station + 0.5, self.length))
        return float(np.arctan2(*(front - back)[::-1]))

    def shifted(self, left: float) -> Path:
        """The path beside this one, ``left`` metres to the left of the direction of travel (negative: right)."""
        steps = np.diff(self.points, axis=0)
        steps /= np.linalg.norm(steps, axis=1)[:, None]
        before, after = np.vstack([steps[:1], steps]), np.vstack([steps, steps[-1:]])
        # The bisector of both segments' normals, longer where the path bends, so that both stay parallel.
        middle = before + after
        middle *= 2.0 / np.maximum(np.sum(middle * middle, axis=1), 0.5)[:, None]
        return Path(self.points + left * np.stack([-middle[:, 1], middle[:, 0]], 1))

    def between(self, start: float, end: float) -> Path:
        """The part from one station to another."""
        inner = self.points[(self.stations > start + _SAME) & (self.stations < end - _SAME)]
        return Path(np.vstack([self.at(start), inner, self.at(end)]))

    def reversed(self) -> Path:
        """The same way back."""
        return Path(self.points[::-1])

    def smallest_radius(self) -> float:
        """The radius of its sharpest bend [m], infinite on a straight line."""
        steps = np.diff(self.points, axis=0)
        headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
        lengths = np.linalg.norm(steps, axis=1)
        turn = np.abs(np.diff(headings)) / np.maximum((lengths[1:] + lengths[:-1]) / 2, _SAME)
        return float(1.0 / turn.max()) if turn.size and turn.max() > 0 else np.inf


def joined(paths: Sequence[Path]) -> Path:
    """One path after the other; where they meet, points are not repeated."""
    points = np.vstack([path.points for path in paths])
    new = np.linalg.norm(np.diff(points, axis=0), axis=1) > _SAME
    return Path(points[np.concatenate([[True], new])])


def line(*corners: ArrayLike) -> Path:
    """Straight from corner to corner."""
    return Path(np.array(corners, np.float64))


def curve(start: Points, start_direction: Points, end: Points, end_direction: Points, spacing: float = 1.0) -> Path:
    """A cubic Bezier curve between two points with given directions of travel; a right angle becomes an arc."""
    reach = 0.39 * float(np.linalg.norm(end - start))
    controls = np.stack([start, start + reach * start_direction, end - reach * end_direction, end])
    t = np.linspace(0.0, 1.0, max(int(reach / 0.39 / spacing), 4) + 1)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return Path(weights @ controls)


def unit(vector: Points) -> Points:
    """A vector of length 1."""
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def rectangle(x: float, y: float, yaw: float, length: float, width: float) -> Points:
    """(4, 2) corners of a rectangle round (x, y)."""
    along = np.array([np.cos(yaw), np.sin(yaw)]) * length / 2
    across = np.array([-np.sin(yaw), np.cos(yaw)]) * width / 2
    corners = np.stack([along + across, along - across, -along - across, -along + across])
    return np.asarray(np.array([x, y]) + corners, np.float64)


def band(path: Path, left: float, right: float) -> Points:
    """(n, 2) outline of what lies between the paths ``left`` and ``right`` metres beside one (both positive: left)."""
    return np.vstack([path.shifted(left).points, path.shifted(right).points[::-1]])
