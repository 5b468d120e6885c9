"""The plan of a town: streets between junctions, and what their cross-sections and blocks are like.

Junctions lie on a distorted grid; a street between two of them is straight or bent, but straight where it meets them.
Streets along one line of the grid share a cross-section, so that an avenue stays an avenue. Traffic keeps right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from gdfusion_ros.synthetic.streets.paths import Path, Points, curve, joined, line, unit

KERB = 0.2
PARKING = 2.6
FURNITURE = 0.8  # [m] of the sidewalk's inner side, where lights, signs and trees stand
MARGIN = 70.0  # [m] of land outside the outermost streets
CORNER_RADIUS = 5.5  # [m] of the kerb where two streets meet
CROSSWALK = (1.0, 3.6)  # [m] beyond the corner: where a crosswalk begins and ends
STOP_LINE = 4.4  # [m] beyond the corner

_STRAIGHT = 26.0  # [m] of every street before a junction

Cell = tuple[int, int]
"""A block: indices of its lower left grid point; the land outside the outermost streets counts from -1."""


@dataclass(frozen=True)
class Profile:
    """Half a street's cross-section from the middle outward; both halves are alike [m].

    Attributes:
        lanes: Lanes in each direction.
        lane: Width of one.
        median: Half the width of the island between the directions, 0 for none.
        parking: Whether cars park at the kerb, on a strip of PARKING.
        verge: Width of the grass between kerb and sidewalk, 0 for none.
        sidewalk: Width of the sidewalk.
    """

    lanes: int
    lane: float
    median: float
    parking: bool
    verge: float
    sidewalk: float

    @property
    def lanes_edge(self) -> float:
        """From the middle to the outer edge of the lanes."""
        return self.median + self.lanes * self.lane

    @property
    def kerb(self) -> float:
        """From the middle to the kerb."""
        return self.lanes_edge + (PARKING if self.parking else 0.0)

    @property
    def walk(self) -> float:
        """From the middle to where people walk: the outer part of the sidewalk, furniture stands at the kerb."""
        return self.outer - (self.sidewalk - FURNITURE) / 2

    @property
    def outer(self) -> float:
        """From the middle to the outer edge of the sidewalk."""
        return self.kerb + KERB + self.verge + self.sidewalk


@dataclass(frozen=True, eq=False)
class Street:
    """A street from junction ``start`` to junction ``end``; ``blocks`` lie to its left and right."""

    start: int
    end: int
    centre: Path
    profile: Profile
    blocks: tuple[Cell, Cell]


@dataclass(frozen=True, eq=False)
class Arm:
    """A street as it leaves a junction: ``path`` runs outward.

    ``setback`` is the station on it where the corners' round kerbs have ended [m], ``axis`` the phase of the signals
    that lets it go.
    """

    street: int
    path: Path
    profile: Profile
    setback: float
    axis: int

    @property
    def direction(self) -> Points:
        """(2,) unit vector, outward."""
        return self.path.start_direction


@dataclass(frozen=True, eq=False)
class Corner:
    """The land between two neighbouring arms of a junction at ``position``, ``angle`` [rad] from right to left.

    It is ``sharp`` if it juts into the junction, and has a ``point`` unless both arms are almost one straight line.
    """

    position: Points
    right: Arm
    left: Arm
    angle: float

    @property
    def sharp(self) -> bool:
        """Whether it needs rounding."""
        return self.angle < math.radians(150)

    @property
    def straight(self) -> bool:
        """Whether one arm almost continues the other."""
        return abs(self.angle - math.pi) <= math.radians(30)

    def point(self, from_right: float, from_left: float) -> Points:
        """(2,) the place in the corner that is so far from the middles of both streets [m]."""
        along = (from_left + from_right * math.cos(self.angle)) / math.sin(self.angle)
        direction = self.right.direction
        return np.asarray(self.position + along * direction + from_right * np.array([-direction[1], direction[0]]))


@dataclass(frozen=True, eq=False)
class Junction:
    """Where streets meet: its arms counterclockwise; with two of them it is a bend. ``signals``: it has lights."""

    position: Points
    arms: tuple[Arm, ...]
    signals: bool

    @property
    def crossing(self) -> bool:
        """Whether more than two streets meet: there are crosswalks, and traffic takes turns."""
        return len(self.arms) > 2

    def corners(self) -> Iterator[Corner]:
        """What lies between neighbouring arms, all round."""
        for right, left in zip(self.arms, (*self.arms[1:], self.arms[0]), strict=True):
            yield Corner(self.position, right, left, _angle_between(right.direction, left.direction))


@dataclass(frozen=True, eq=False)
class Town:
    """Streets and junctions within [0, ``size``] [m], and the character of every block.

    Characters: urban (closed rows of houses), residential (houses in gardens), commercial (halls and parking lots),
    park, square, works (a construction site).
    """

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]
    blocks: Mapping[Cell, str]
    outlines: Mapping[Cell, Points]
    size: tuple[float, float]


CHARACTERS = {'urban': 0.28, 'residential': 0.28, 'commercial': 0.14, 'park': 0.12, 'square': 0.08, 'works': 0.10}
"""What blocks are like -> how often."""


def build(rng: Generator) -> Town:
    """A town of 3 or 4 by 3 or 4 junctions."""
    columns, rows = (int(count) for count in rng.integers(3, 5, 2))
    grid = _grid(columns, rows, rng)
    profiles = {('column', i): _profile(rng) for i in range(columns)} | {('row', j): _profile(rng) for j in range(rows)}
    streets = []
    for a, b in _edges(columns, rows, rng):
        upright = a[0] == b[0]
        beside = ((a[0] - 1, a[1]), a) if upright else (a, (a[0], a[1] - 1))
        profile = profiles['column', a[0]] if upright else profiles['row', a[1]]
        streets.append(Street(a[0] * rows + a[1], b[0] * rows + b[1], _centre(grid[a], grid[b], rng), profile, beside))
    junctions = tuple(_junction(index, grid[divmod(index, rows)], streets, rng) for index in range(columns * rows))
    cells = [(i, j) for i in range(-1, columns) for j in range(-1, rows)]
    names = rng.choice(list(CHARACTERS), len(cells), p=list(CHARACTERS.values()))
    inner = [cell for cell in cells if 0 <= cell[0] < columns - 1 and 0 <= cell[1] < rows - 1]
    around = ((0, 0), (1, 0), (1, 1), (0, 1))
    outlines = {(i, j): np.array([grid[i + di, j + dj] for di, dj in around]) for i, j in inner}
    upper = grid.reshape(-1, 2).max(axis=0) + MARGIN
    return Town(
        tuple(streets),
        junctions,
        dict(zip(cells, names.tolist(), strict=True)),
        outlines,
        (float(upper[0]), float(upper[1])),
    )


def _grid(columns: int, rows: int, rng: Generator) -> Points:
    """(columns, rows, 2) junctions."""
    x = MARGIN + np.concatenate([[0.0], rng.uniform(80, 135, columns - 1).cumsum()])
    y = MARGIN + np.concatenate([[0.0], rng.uniform(80, 135, rows - 1).cumsum()])
    grid = np.stack(np.meshgrid(x, y, indexing='ij'), -1)
    return np.asarray(grid + rng.uniform(-11, 11, grid.shape))


def _profile(rng: Generator) -> Profile:
    avenue = rng.random() < 0.3
    return Profile(
        lanes=2 if avenue else 1,
        lane=float(rng.uniform(3.2, 3.8)),
        median=float(rng.uniform(0.7, 1.6)) if avenue and rng.random() < 0.5 else 0.0,
        parking=bool(rng.random() < (0.4 if avenue else 0.7)),
        verge=float(rng.uniform(1.4, 2.6)) if rng.random() < 0.45 else 0.0,
        sidewalk=float(rng.uniform(2.8, 4.2)),
    )


def _edges(columns: int, rows: int, rng: Generator) -> list[tuple[Cell, Cell]]:
    """Streets between grid points; some inner ones are left out, but every junction keeps two."""
    edges = [
        ((i, j), (i + di, j + dj))
        for i in range(columns)
        for j in range(rows)
        for di, dj in ((1, 0), (0, 1))
        if i + di < columns and j + dj < rows
    ]
    degree: dict[Cell, int] = {}
    for edge in edges:
        for cell in edge:
            degree[cell] = degree.get(cell, 0) + 1
    kept: list[tuple[Cell, Cell]] = []
    for a, b in edges:
        outer = (a[0] == b[0] and a[0] in (0, columns - 1)) or (a[1] == b[1] and a[1] in (0, rows - 1))
        if not outer and min(degree[a], degree[b]) > 2 and rng.random() < 0.2:
            degree[a], degree[b] = degree[a] - 1, degree[b] - 1
        else:
            kept.append((a, b))
    return kept


def _centre(start: Points, end: Points, rng: Generator) -> Path:
    """The middle of a street: straight, a bow or an S, points about 1 m apart."""
    bends = rng.normal(0, math.radians(9), 2) if rng.random() < 0.6 else np.zeros(2)
    along = unit(end - start)
    leave, arrive = _turned(along, bends[0]), _turned(along, bends[1])
    first, last = start + _STRAIGHT * leave, end - _STRAIGHT * arrive
    return joined([line(start, first), curve(first, leave, last, arrive), line(last, end)])


def _turned(vector: Points, angle: float) -> Points:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _angle_between(right: Points, left: Points) -> float:
    """From one direction counterclockwise to the other, 0..2 pi [rad]."""
    angle = math.atan2(right[0] * left[1] - right[1] * left[0], float(right @ left))
    return angle % (2 * math.pi)


def _junction(index: int, position: Points, streets: list[Street], rng: Generator) -> Junction:
    outward = [
        (number, street.centre if street.start == index else street.centre.reversed(), street.profile)
        for number, street in enumerate(streets)
        if index in (street.start, street.end)
    ]
    outward.sort(key=lambda arm: math.atan2(*arm[1].start_direction[::-1]))
    bare = Junction(position, tuple(Arm(number, path, profile, 0.0, 0) for number, path, profile in outward), False)
    setbacks = dict.fromkeys((arm.street for arm in bare.arms), 3.0)
    for corner in bare.corners():
        if not corner.sharp:
            continue
        rounding = CORNER_RADIUS / math.tan(corner.angle / 2)
        for arm, other in ((corner.right, corner.left), (corner.left, corner.right)):
            edge = (other.profile.kerb + arm.profile.kerb * math.cos(corner.angle)) / math.sin(corner.angle)
            setbacks[arm.street] = max(setbacks[arm.street], edge + rounding)
    signals = bare.crossing and bool(rng.random() < 0.6)
    return Junction(
        position,
        tuple(
            Arm(arm.street, arm.path, arm.profile, setbacks[arm.street], _axis(arm, bare.arms[0])) for arm in bare.arms
        ),
        signals,
    )


def _axis(arm: Arm, reference: Arm) -> int:
    """0 for arms along the reference, 1 for those across it."""
    return int(abs(float(arm.direction @ reference.direction)) < math.cos(math.radians(45)))
