"""What stands on the blocks: buildings with yards, halls with parking lots, parks, squares, construction sites.

Every side of a block is cut into parcels along the street; each is furnished by the character of its block. A parcel's
frame is an Edge: u along the street, v away from it, 0 at the sidewalk's outer edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.streets.paths import Path, rectangle
from gdfusion_ros.synthetic.streets.site import Edge, Site
from gdfusion_ros.synthetic.streets.town import PARKING, Street, Town
from gdfusion_ros.synthetic.world import Surface

_OTHER = 0.12  # share of parcels that differ from their block's character


@dataclass(frozen=True, eq=False)
class Parcel:
    """A piece of land: ``width`` along the street, ``depth`` away from it; the kerb is ``kerb`` before its edge [m]."""

    site: Site
    edge: Edge
    width: float
    depth: float
    kerb: float

    def draw(self, lower: float, upper: float) -> float:
        """A number by chance."""
        return float(self.site.rng.uniform(lower, upper))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.site.rng.random() < share)

    def put(self, kind: str, u: float, v: float, turn: float | None = None, margin: float = 0.1) -> bool:
        """Put an object; ``turn`` from the street's direction [rad], by chance without."""
        yaw = self.edge.yaw + (self.draw(-math.pi, math.pi) if turn is None else turn)
        return self.site.put(kind, self.edge.at(u, v), yaw, margin)

    def scatter(self, kind: str, count: int, v: tuple[float, float], margin: float = 0.4) -> None:
        """Put objects of a kind anywhere between two v."""
        for _ in range(count):
            self.put(kind, self.draw(0.5 - self.width / 2, self.width / 2 - 0.5), self.draw(*v), margin=margin)

    def build(self, v: tuple[float, float], width: float, height: float, u: float = 0.0) -> bool:
        """Put a building whose front is the nearer v."""
        model = catalogue.building(self.site.rng, v[1] - v[0], width, height)
        return self.site.put(model, self.edge.at(u, sum(v) / 2), self.edge.yaw - math.pi / 2, margin=-0.1)

    def pave(self, surface: Surface, u: tuple[float, float], v: tuple[float, float]) -> None:
        """Give a rectangle of the land a surface."""
        self.site.yards.append((surface, self.edge.rectangle(u, v)))

    def drive_in(self, u: float, width: float, depth: float) -> None:
        """A driveway over the sidewalk and ``depth`` metres into the land; nobody parks before it."""
        across = (u - width / 2, u + width / 2)
        self.site.driveways.append((Surface.ASPHALT, self.edge.rectangle(across, (-self.kerb, depth))))
        self.site.take(self.edge.rectangle(across, (-self.kerb - PARKING, 0.0)))

    def enclose(self, gap: tuple[float, float]) -> None:
        """A hedge, fence or wall along the street, but for a gap between two u."""
        kind = str(self.site.rng.choice(['hedge', 'hedge', 'fence', 'wall']))
        for start, end in ((-self.width / 2, gap[0]), (gap[1], self.width / 2)):
            if end > start:
                self.site.row(kind, self.edge.at(start, 0.6), self.edge.at(end, 0.6))


def furnish(site: Site, town: Town) -> None:
    """Divide the land along all streets into parcels and furnish them, then grow trees on what is left."""
    for street in town.streets:
        outer = street.profile.outer
        for path, cell in (
            (street.centre.shifted(outer), street.blocks[0]),
            (street.centre.shifted(-outer).reversed(), street.blocks[1]),
        ):
            _furnish_side(site, path, outer - street.profile.kerb, town.blocks[cell])
    for street in town.streets:
        for side in (1, -1):
            _grow_behind(site, street, side)


def _furnish_side(site: Site, path: Path, kerb: float, block: str) -> None:
    """Parcels along a street, as close as they fit."""
    station = 4.0
    while station < path.length - 14.0:
        character = block if site.rng.random() > _OTHER else str(site.rng.choice(list(_DEPTHS)))
        width = float(site.rng.uniform(*_WIDTHS[character]))
        middle = min(station + width / 2, path.length)
        edge = Edge(path.at(middle), path.heading(middle))
        if not site.near(*edge.at(0.0, 8.0)):
            station += width
        elif not _furnish_parcel(site, edge, width, kerb, character):
            station += 3.0
        else:
            station += width


def _furnish_parcel(site: Site, edge: Edge, width: float, kerb: float, character: str) -> bool:
    """Whether there was room; where the street bends, the parcel lies a little behind it, or is a small green."""
    for kind, depth, setback in (
        *((character, _DEPTHS[character], setback) for setback in (0.2, 1.2, 2.4)),
        ('park', 8.0, 0.2),
        ('park', 8.0, 1.6),
    ):
        behind = Edge(np.array(edge.at(0.0, setback)), edge.yaw)
        outline = behind.rectangle((-width / 2, width / 2), (0.2, depth))
        if site.is_land(outline):
            _FURNISH[kind](Parcel(site, behind, width - 0.2, depth, kerb + setback))
            site.take(outline)
            return True
    return False


def _grow_behind(site: Site, street: Street, side: int) -> None:
    """Trees and bushes on free land behind the sidewalk and between the buildings."""
    path = street.centre.shifted(side * street.profile.outer)
    for station in np.arange(2.0, path.length, 4.0):
        x, y = path.at(station)
        if site.near(float(x), float(y)):
            edge = Edge(path.at(station), path.heading(float(station)) + (0.0 if side > 0 else math.pi))
            place = edge.at(float(site.rng.uniform(-2, 2)), float(site.rng.uniform(1.5, 24)))
            kind = 'tree' if site.rng.random() < 0.6 else 'bush'
            if site.is_land(rectangle(*place, 0.0, 3.0, 3.0)):
                site.put(kind, place, float(site.rng.uniform(-math.pi, math.pi)))


def _urban(parcel: Parcel) -> None:
    """A house at the sidewalk, or a gap in the row with a court."""
    if parcel.chance(0.88):
        parcel.build((0.3, parcel.depth), parcel.width, parcel.draw(7, 22))
        return
    parcel.pave(Surface.ASPHALT, (-parcel.width / 2, parcel.width / 2), (0.0, parcel.depth))
    parcel.drive_in(0.0, 3.5, 1.0)
    for u in (-parcel.width / 3, parcel.width / 3):
        parcel.put('car', u, parcel.depth * 0.6, math.pi / 2)
    parcel.enclose((-2.2, 2.2))


def _residential(parcel: Parcel) -> None:
    """A house in a garden, a driveway beside it, a hedge, fence or wall before it."""
    half, front = parcel.width / 2, parcel.draw(3.5, 7.0)
    side = 1 if parcel.chance(0.5) else -1
    parcel.pave(Surface.GRASS, (-half, half), (0.0, parcel.depth))
    width = min(parcel.width - 4.5, parcel.draw(8, 13))
    parcel.build((front, min(parcel.depth - 0.5, front + parcel.draw(8, 11))), width, parcel.draw(5, 9.5), -side * 1.8)
    drive = side * (half - 1.9)
    parcel.drive_in(drive, 3.2, front + 5)
    if parcel.chance(0.5):
        parcel.put('car', drive, front + 1.0, math.pi / 2 if parcel.chance(0.5) else -math.pi / 2, 0.0)
    if parcel.chance(0.7):
        parcel.enclose((drive - 1.8, drive + 1.8))
    parcel.scatter('tree', int(parcel.site.rng.integers(3)), (1.8, front))
    parcel.scatter('bush', int(parcel.site.rng.integers(4)), (1.5, front))
    parcel.scatter('tree', 1, (front + 8, parcel.depth))


def _commercial(parcel: Parcel) -> None:
    """A hall behind a parking lot."""
    half, lot = parcel.width / 2, min(18.0, 0.5 * parcel.depth)
    parcel.pave(Surface.ASPHALT, (-half, half), (1.5, lot + 1))
    parcel.drive_in(0.0, 6.0, 2.5)
    parcel.build((lot, parcel.depth), parcel.width - 1, parcel.draw(5, 10))
    for u in np.arange(-half + 2, half - 2, 2.9):
        if abs(u) > 4 and parcel.chance(0.6):
            parcel.put('car', float(u), 4.8, math.pi / 2 if parcel.chance(0.5) else -math.pi / 2, -0.1)
    if parcel.chance(0.5) and lot > 14:
        kind = str(parcel.site.rng.choice(['trailer', 'truck', 'bus'], p=[0.5, 0.35, 0.15]))
        parcel.put(kind, parcel.draw(-3, 3), lot - 3.5, 0.0)
    parcel.scatter('bush', 2, (0.4, 1.4), 0.0)


def _park(parcel: Parcel) -> None:
    """Lawn with trees, bushes and knolls, sometimes a path."""
    half = parcel.width / 2
    parcel.pave(Surface.GRASS, (-half, half), (0.0, parcel.depth))
    if parcel.chance(0.3):
        parcel.pave(Surface.SIDEWALK, (-1.0, 1.0), (0.0, parcel.depth))
        parcel.site.take(parcel.edge.rectangle((-1.0, 1.0), (0.3, parcel.depth)))
        parcel.put('bench', 2.0, 3.0, math.pi)
    if parcel.chance(0.4):
        parcel.scatter('mound', 1, (4, parcel.depth - 2))
    parcel.scatter('tree', int(parcel.site.rng.integers(1, 5)), (1.5, parcel.depth - 1), 0.8)
    parcel.scatter('bush', int(parcel.site.rng.integers(4)), (1.0, parcel.depth - 1))
    if parcel.chance(0.25):
        parcel.scatter('pedestrian', 1, (1.0, 6.0))


def _square(parcel: Parcel) -> None:
    """Paving with trees, benches, bicycles and people, a building behind it."""
    half = parcel.width / 2
    parcel.pave(Surface.PAVING, (-half, half), (0.0, parcel.depth))
    parcel.build((parcel.depth - 11, parcel.depth), parcel.width, parcel.draw(9, 20))
    parcel.put('tree', 0.0, 3.0)
    parcel.put('bench', parcel.draw(2, 4), 2.6, -math.pi / 2)
    parcel.scatter('pedestrian', int(parcel.site.rng.integers(3)), (1.0, 8.0))
    parcel.scatter('parked_bicycle', int(parcel.site.rng.integers(2)), (1.0, 6.0))
    parcel.scatter('bin', int(parcel.site.rng.integers(2)), (0.8, 6.0))


def _works(parcel: Parcel) -> None:
    """A construction site: machines, heaps of earth, a shell of a building, barriers or a fence before it."""
    half = parcel.width / 2
    parcel.pave(Surface.EARTH, (-half, half), (0.0, parcel.depth))
    parcel.drive_in(0.0, 5.0, 1.5)
    kind = str(parcel.site.rng.choice(['barrier', 'barrier', 'fence']))
    for start, end in ((-half, -2.8), (2.8, half)):
        parcel.site.row(kind, parcel.edge.at(start, 0.7), parcel.edge.at(end, 0.7), 0.3)
    for u in (-2.6, 2.6):
        parcel.put('traffic_cone', u, 0.5)
    for _ in range(int(parcel.site.rng.integers(1, 3))):
        parcel.scatter('construction_vehicle', 1, (5, min(12.0, parcel.depth - 3)))
    parcel.scatter('mound', int(parcel.site.rng.integers(1, 4)), (5, parcel.depth - 3), 0.0)
    if parcel.chance(0.4):
        parcel.scatter('truck', 1, (5, parcel.depth - 4))
    parcel.scatter('traffic_cone', int(parcel.site.rng.integers(2, 7)), (1.5, 6))
    parcel.scatter('pedestrian', int(parcel.site.rng.integers(2)), (2, 8))


_WIDTHS = {
    'urban': (10.0, 22.0),
    'residential': (14.0, 20.0),
    'commercial': (24.0, 38.0),
    'park': (10.0, 16.0),
    'square': (10.0, 16.0),
    'works': (22.0, 34.0),
}
_DEPTHS = {'urban': 14.0, 'residential': 20.0, 'commercial': 34.0, 'park': 16.0, 'square': 24.0, 'works': 24.0}
_FURNISH: dict[str, Callable[[Parcel], None]] = {
    'urban': _urban,
    'residential': _residential,
    'commercial': _commercial,
    'park': _park,
    'square': _square,
    'works': _works,
}
