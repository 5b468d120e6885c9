"""The ground of a town as a raster: land, sidewalks, kerbs, asphalt, lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gdfusion_ros.synthetic.streets.lanes import stop_station, stop_stations
from gdfusion_ros.synthetic.streets.paths import Path, Points, band
from gdfusion_ros.synthetic.streets.town import (
    CORNER_RADIUS,
    CROSSWALK,
    KERB,
    Arm,
    Corner,
    Junction,
    Profile,
    Street,
    Town,
)
from gdfusion_ros.synthetic.world import Ground, Surface

CELL = 0.1  # [m]

_LINE, _STRIPE = 0.15, 0.5  # [m] width of a line, of a crosswalk's stripes
_DASH, _DASH_GAP = 3.0, 4.5  # [m]
_BLOCK_SURFACES = {
    'urban': Surface.PAVING,
    'residential': Surface.GRASS,
    'commercial': Surface.GRASS,
    'park': Surface.GRASS,
    'square': Surface.PAVING,
    'works': Surface.EARTH,
}

Patch = tuple[Surface, Points]
"""A surface and the (n, 2) outline of what it covers [m]."""


class Canvas:
    """A raster of cells of ``cell`` metres over [0, size] to draw polygons on."""

    def __init__(self, size: tuple[float, float], cell: float, value: int) -> None:
        """All cells have ``value`` at first."""
        self._cell = cell
        self._image = Image.new('L', (math.ceil(size[0] / cell), math.ceil(size[1] / cell)), value)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, outline: Points, value: int) -> None:
        """Fill an (n, 2) outline [m]."""
        self._draw.polygon((outline / self._cell - 0.5).ravel().tolist(), fill=value)

    def disc(self, centre: Points, radius: float, value: int) -> None:
        """Fill a disc [m]."""
        lower, upper = (centre - radius) / self._cell - 0.5, (centre + radius) / self._cell - 0.5
        self._draw.ellipse((*lower.tolist(), *upper.tolist()), fill=value)

    def cells(self) -> NDArray[np.uint8]:
        """(X, Y) values."""
        return np.ascontiguousarray(np.asarray(self._image).T)


def draw(town: Town, yards: Sequence[Patch], driveways: Sequence[Patch]) -> Ground:
    """The whole town's ground; ``yards`` lie on the land beside the sidewalks, ``driveways`` cross the sidewalks."""
    canvas = Canvas(town.size, CELL, Surface.GRASS)
    for cell, outline in town.outlines.items():
        canvas.polygon(outline, _BLOCK_SURFACES[town.blocks[cell]])
    _fill(canvas, yards)
    draw_streets(canvas, town, lambda profile: profile.outer, Surface.SIDEWALK)
    _fill(canvas, _verges(town))
    _fill(canvas, driveways)
    draw_streets(canvas, town, lambda profile: profile.kerb + KERB, Surface.KERB)
    draw_streets(canvas, town, lambda profile: profile.kerb, Surface.ASPHALT)
    for street in town.streets:
        _fill(canvas, _markings(street, *_clear_part(town, street)))
    for junction in town.junctions:
        _fill(canvas, (patch for arm in junction.arms if junction.crossing for patch in _crossing(junction, arm)))
    return Ground(canvas.cells(), (0.0, 0.0), CELL)


def draw_streets(canvas: Canvas, town: Town, half: Callable[[Profile], float], value: int) -> None:
    """Fill all streets, ``half(profile)`` metres to both sides of their middle, corners rounded as the kerb's are."""
    for street in town.streets:
        width = half(street.profile)
        canvas.polygon(band(street.centre, width, -width), value)
    for junction in town.junctions:
        canvas.disc(junction.position, sorted(half(arm.profile) for arm in junction.arms)[-2], value)
        for corner in junction.corners():
            widths = half(corner.right.profile), half(corner.left.profile)
            radius = CORNER_RADIUS - (widths[0] - corner.right.profile.kerb)
            if corner.sharp and radius > 0:
                canvas.polygon(_fillet(corner, corner.point(*widths), radius), value)


def _fill(canvas: Canvas, patches: Iterable[Patch]) -> None:
    for surface, outline in patches:
        canvas.polygon(outline, surface)


def _fillet(corner: Corner, tip: Points, radius: float) -> Points:
    """Outline of what lies between the ``tip`` of a corner and the circle that touches both edges there."""
    reach = radius / math.tan(corner.angle / 2)
    right, left = corner.right.direction, corner.left.direction
    centre = tip + reach * right + radius * np.array([-right[1], right[0]])
    start, end = tip + reach * right - centre, tip + reach * left - centre
    weights = np.linspace(0.0, 1.0, 9)[:, None]
    arc = (1 - weights) * start + weights * end
    arc *= radius / np.linalg.norm(arc, axis=1)[:, None]
    inside = tip - 0.3 * (right + left)  # so that no seam is left open
    return np.vstack([inside[None], centre + arc])


def _clear_part(town: Town, street: Street) -> tuple[float, float]:
    """Stations between which a street is marked: from stop line to stop line."""
    first, last = stop_stations(town, town.streets.index(street))
    return first, street.centre.length - last


def _verges(town: Town) -> Iterator[Patch]:
    """Grass between kerb and sidewalk, not at the crosswalks."""
    for street in town.streets:
        profile = street.profile
        if profile.verge:
            start, end = _clear_part(town, street)
            part = street.centre.between(start + 1.0, end - 1.0)
            for side in (1, -1):
                inner, outer = profile.kerb + KERB, profile.kerb + KERB + profile.verge
                yield Surface.GRASS, band(part, side * inner, side * outer)


def _markings(street: Street, start: float, end: float) -> Iterator[Patch]:
    """The lines along a street, and its island."""
    profile = street.profile
    part = street.centre.between(start, end)
    if profile.median:
        island = street.centre.between(start + 1.0, end - 1.0)
        yield Surface.KERB, band(island, profile.median - 0.2, 0.2 - profile.median)
        if profile.median > 0.9:
            yield Surface.GRASS, band(island, profile.median - 0.4, 0.4 - profile.median)
        else:
            yield Surface.PAVING, band(island, profile.median - 0.4, 0.4 - profile.median)
    elif profile.lanes > 1:
        for side in (1, -1):
            yield Surface.LINE_YELLOW, band(part, side * 0.1, side * (0.1 + _LINE))
    else:
        yield from ((Surface.LINE_YELLOW, dash) for dash in _dashes(part))
    for side in (1, -1):
        for lane in range(1, profile.lanes):
            divider = part.shifted(side * (profile.median + lane * profile.lane))
            yield from ((Surface.LINE_WHITE, dash) for dash in _dashes(divider))
        if profile.parking:
            yield Surface.LINE_WHITE, band(part, side * profile.lanes_edge, side * (profile.lanes_edge + _LINE))


def _dashes(path: Path) -> Iterator[Points]:
    for start in np.arange(0.0, path.length - _DASH, _DASH + _DASH_GAP):
        yield band(path.between(start, start + _DASH), _LINE / 2, -_LINE / 2)


def _crossing(junction: Junction, arm: Arm) -> Iterator[Patch]:
    """Crosswalk and stop line of an arm."""
    profile = arm.profile
    crosswalk = arm.path.between(arm.setback + CROSSWALK[0], arm.setback + CROSSWALK[1])
    for offset in np.arange(-profile.kerb + _STRIPE, profile.kerb - _STRIPE, 2 * _STRIPE):
        yield Surface.LINE_WHITE, band(crosswalk, offset + _STRIPE, offset)
    stop = stop_station(junction, arm)
    # The arm runs outward: who comes in drives on its left.
    yield Surface.LINE_WHITE, band(arm.path.between(stop, stop + 0.4), profile.lanes_edge, profile.median)
