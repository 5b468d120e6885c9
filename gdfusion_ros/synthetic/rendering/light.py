"""How light reaches the camera: sun and shadow, the light of the sky, mirrored sky, lamps, haze.

Compiled. Colours are linear RGB, as in weather.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.rendering.packing import CELL, NEAR, Placement, Shapes
from gdfusion_ros.synthetic.rendering.reflectance import Colors, Rays, Reflectance
from gdfusion_ros.synthetic.rendering.sky import Light, added, clear_sky, clouded_sky, mirrored_sky, mixed
from gdfusion_ros.synthetic.rendering.tracing import GROUND, SKY, Hits

_GROUND_LIGHT, _SKY_LIGHT = (0.22, 0.20, 0.17), 0.72
"""Share of the light that comes back from the ground, and share of the sky's that reaches what lies open."""
_LOW, _REACH = 0.6, 40.0
"""Up to which height objects take light from one another, and how far lamps shine [m]."""


def radiance(
    shapes: Shapes,
    placed: Placement,
    light: Light,
    hits: Hits,
    rays: Rays,
    lit: NDArray[np.bool_],
    surfaces: Reflectance,
) -> Colors:
    """(n, 3) float32 light that comes along ``rays``; what the ground mirrors is left out."""
    found = np.empty((len(rays.points), 3), np.float32)
    _radiance(shapes, placed, light, hits, rays, lit, surfaces, found)
    return found


@kernel
def _radiance(
    shapes: Shapes,
    placed: Placement,
    light: Light,
    hits: Hits,
    rays: Rays,
    lit: NDArray[np.bool_],
    surfaces: Reflectance,
    found: Colors,
) -> None:
    for index in range(len(found)):
        direction = (rays.directions[index, 0], rays.directions[index, 1], rays.directions[index, 2])
        if hits.objects[index] == SKY:
            seen = clouded_sky(light, direction)
        else:
            normal = (hits.normals[index, 0] * 1.0, hits.normals[index, 1] * 1.0, hits.normals[index, 2] * 1.0)
            place = (rays.points[index, 0], rays.points[index, 1], rays.points[index, 2])
            open_air = _openness(shapes, placed, hits.objects[index], place)
            color = (surfaces.colors[index, 0], surfaces.colors[index, 1], surfaces.colors[index, 2])
            seen = _scattered(light, color, normal, place, lit[index], open_air)
            if surfaces.gloss[index] > 0 and hits.objects[index] != GROUND:
                seen = _with_mirror(light, seen, surfaces.gloss[index], normal, direction, lit[index])
            glow = (surfaces.glows[index, 0], surfaces.glows[index, 1], surfaces.glows[index, 2])
            seen = added(seen, glow, light.glow)
            hazy = clear_sky(light, (direction[0], direction[1], max(direction[2], 0.02)))
            seen = mixed(hazy, seen, math.exp(-light.haze * hits.distances[index]))
        found[index, 0], found[index, 1], found[index, 2] = seen


@inlined
def _openness(shapes: Shapes, placed: Placement, item: int, place: Any) -> float:
    """How much of the sky a place sees, 0..1: less near the feet of other objects, under them, and near the ground."""
    height = place[2]
    seen = 1.0 if item == GROUND else 0.60 + 0.40 * min(1.0, height / 0.8)
    columns, rows = placed.cell_tops.shape
    column = math.floor((place[0] - placed.corner[0]) / CELL)
    row = math.floor((place[1] - placed.corner[1]) / CELL)
    if height > _LOW or not (0 <= column < columns and 0 <= row < rows):
        return seen
    for member in range(placed.cell_start[column * rows + row], placed.cell_start[column * rows + row + 1]):
        other = placed.members[member]
        if other != item:
            gap = _gap_to_foot(shapes, placed, other, place)
            if gap < NEAR:
                seen *= 1 - (1 - height / _LOW) * 0.72 * (1 - gap / NEAR) ** 2
    return seen


@inlined
def _gap_to_foot(shapes: Shapes, placed: Placement, item: int, place: Any) -> float:
    """How far a place is from the ground plan of what an object has near the ground [m]."""
    cos, sin, model = placed.poses[item, 2], placed.poses[item, 3], placed.models[item]
    east, north = place[0] - placed.poses[item, 0], place[1] - placed.poses[item, 1]
    x, y = cos * east + sin * north, cos * north - sin * east
    ahead = max(shapes.model_feet[model, 0] - x, x - shapes.model_feet[model, 2], 0.0)
    aside = max(shapes.model_feet[model, 1] - y, y - shapes.model_feet[model, 3], 0.0)
    return math.sqrt(ahead * ahead + aside * aside)


@inlined
def _scattered(light: Light, color: Any, normal: Any, place: Any, lit: bool, open_air: float) -> Any:
    """The light that a rough surface sends in all directions: from the sky, the ground, the sun and lamps."""
    up = 0.5 + 0.5 * normal[2]
    above = mixed(light.zenith, light.horizon, 0.45)
    ground = added(above, light.sun, 1.2 * max(light.sun_direction[2], 0.0))
    arriving = _lamp_light(light, normal, place)
    arriving = added(arriving, above, _SKY_LIGHT * open_air * up)
    bounce = open_air * (1 - up)
    reflected = (_GROUND_LIGHT[0] * ground[0], _GROUND_LIGHT[1] * ground[1], _GROUND_LIGHT[2] * ground[2])
    arriving = added(arriving, reflected, bounce)
    if lit:
        arriving = added(
            arriving,
            light.sun,
            normal[0] * light.sun_direction[0]
            + normal[1] * light.sun_direction[1]
            + normal[2] * light.sun_direction[2],
        )
    return color[0] * arriving[0], color[1] * arriving[1], color[2] * arriving[2]


@inlined
def _with_mirror(light: Light, seen: Any, gloss: float, normal: Any, direction: Any, lit: bool) -> Any:
    """Light with what a glossy surface mirrors of the sky."""
    across = normal[0] * direction[0] + normal[1] * direction[1] + normal[2] * direction[2]
    mirrored = (
        direction[0] - 2 * across * normal[0],
        direction[1] - 2 * across * normal[1],
        direction[2] - 2 * across * normal[2],
    )
    return added(seen, mirrored_sky(light, mirrored, lit), gloss * (0.10 + 0.90 * (1 - min(1.0, abs(across))) ** 5))


@inlined
def _lamp_light(light: Light, normal: Any, place: Any) -> tuple[float, float, float]:
    """The light of street lights and headlamps at a place."""
    red, green, blue = 0.0, 0.0, 0.0
    for lamp in range(len(light.lamps)):
        x, y, z = (light.lamps[lamp, 0] - place[0], light.lamps[lamp, 1] - place[1], light.lamps[lamp, 2] - place[2])
        square = x * x + y * y + z * z
        if square < _REACH * _REACH:
            far, edge = math.sqrt(square) + 1e-9, light.lamps[lamp, 6]
            within = -(x * light.lamps[lamp, 3] + y * light.lamps[lamp, 4] + z * light.lamps[lamp, 5]) / far - edge
            facing = (x * normal[0] + y * normal[1] + z * normal[2]) / far
            if within > 0 and facing > 0:
                power = (0.15 + 0.85 * facing) * min(1.0, within / (0.5 * (1 - edge))) / (square + 12)
                red += power * light.lamps[lamp, 7]
                green += power * light.lamps[lamp, 8]
                blue += power * light.lamps[lamp, 9]
    return red, green, blue
