"""How light reaches the camera: sun and shadow, the light of the sky, mirrored sky, lamps, haze.

Compiled. Colours are linear RGB, as in moods.py.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.synthetic.compiled import inlined, kernel
from gdfusion_ros.datasets.synthetic.materials import Coats, Colors
from gdfusion_ros.datasets.synthetic.moods import Mood
from gdfusion_ros.datasets.synthetic.noise import noise2
from gdfusion_ros.datasets.synthetic.packing import CELL, Placement, Shapes
from gdfusion_ros.datasets.synthetic.solids import Floats
from gdfusion_ros.datasets.synthetic.tracing import GROUND, SKY, Hits

_GROUND_LIGHT = (0.20, 0.19, 0.17)
_NEAR = 0.9
_LAMP_GLOW = 3.0


class Light(NamedTuple):
    """A mood and the lamps near the camera, for compiled code; the first fields are as in Mood.

    Attributes:
        lamps: (k, 10) place x, y, z, direction x, y, z, cosine of the opening half-angle, red, green, blue.
        seed: of the clouds.
    """

    sun_direction: Floats
    sun: Floats
    zenith: Floats
    horizon: Floats
    clouds: float
    haze: float
    wetness: float
    glow: float
    lamps: Floats
    seed: int


def light_of(mood: Mood, lamps: Floats, seed: int) -> Light:
    """The light of a mood with ``lamps`` (k, 10)."""
    return Light(np.array(mood.sun_direction), np.array(mood.sun), np.array(mood.zenith), np.array(mood.horizon),
                 mood.clouds, mood.haze, mood.wetness, mood.lamps, lamps, seed)


def radiance(shapes: Shapes, placed: Placement, light: Light, hits: Hits, points: Floats, directions: Floats,
             lit: NDArray[np.bool_], surfaces: Coats) -> Colors:
    """(n, 3) float32 light that comes from where rays hit; ``directions`` (n, 3) have length 1."""
    found = np.empty((len(points), 3), np.float32)
    _radiance(shapes, placed, light, hits, points, directions, lit, surfaces, found)
    return found


@kernel
def _radiance(shapes: Shapes, placed: Placement, light: Light, hits: Hits, points: Floats, directions: Floats,
              lit: NDArray[np.bool_], surfaces: Coats, found: Colors) -> None:
    for index in range(len(points)):
        way = (directions[index, 0], directions[index, 1], directions[index, 2])
        if hits.things[index] == SKY:
            red, green, blue = _sky(light, way, True)
        else:
            normal = (float(hits.normals[index, 0]), float(hits.normals[index, 1]), float(hits.normals[index, 2]))
            place = (points[index, 0], points[index, 1], points[index, 2])
            open_air = _openness(shapes, placed, hits.things[index], place)
            red, green, blue = _surface(light, surfaces, index, normal, place, way, lit[index], open_air,
                                        hits.things[index] == GROUND)
            kept = math.exp(-light.haze * hits.distances[index])
            hazy = _sky(light, (way[0], way[1], max(way[2], 0.02)), False)
            red = kept * red + (1 - kept) * hazy[0]
            green = kept * green + (1 - kept) * hazy[1]
            blue = kept * blue + (1 - kept) * hazy[2]
        found[index, 0], found[index, 1], found[index, 2] = red, green, blue


@inlined
def _sky(light: Light, way: Any, clouded: bool) -> tuple[float, float, float]:
    """The sky's colour in a direction that points up."""
    up = max(way[2], 0.0)
    share = math.sqrt(up)
    red = light.horizon[0] + share * (light.zenith[0] - light.horizon[0])
    green = light.horizon[1] + share * (light.zenith[1] - light.horizon[1])
    blue = light.horizon[2] + share * (light.zenith[2] - light.horizon[2])
    sun = way[0] * light.sun_direction[0] + way[1] * light.sun_direction[1] + up * light.sun_direction[2]
    if sun > 0.8 and light.sun[0] > 0:
        halo = 0.35 * ((sun - 0.8) / 0.2) ** 3 + (2.5 if sun > 0.9996 else 0.0)
        red, green, blue = red + halo * light.sun[0], green + halo * light.sun[1], blue + halo * light.sun[2]
    if clouded and up > 0.01:
        x, y = way[0] / (up + 0.12), way[1] / (up + 0.12)
        cover = 0.62 * noise2(1.4 * x, 1.4 * y, light.seed) + 0.38 * noise2(4.1 * x, 4.1 * y, light.seed + 1)
        cover = min(max(1.8 * (cover + 2 * light.clouds - 1.0) + 0.4, 0.0), 1.0) * min(1.0, 6 * up)
        bright = light.horizon[1] + 0.5 * light.sun[1]
        shape = 1 + 0.12 * noise2(2.3 * x + 9, 2.3 * y, light.seed + 2)
        cover *= 0.75
        red += cover * (shape * (bright + 0.10 * light.sun[0]) - red) if light.sun[0] > 0 else red * 0.9 * (shape - 1)
        green += cover * (shape * bright - green) if light.sun[0] > 0 else green * 0.9 * (shape - 1)
        blue += cover * (shape * bright - blue) if light.sun[0] > 0 else blue * 0.9 * (shape - 1)
    return red, green, blue


@inlined
def _openness(shapes: Shapes, placed: Placement, thing: int, place: Any) -> float:
    """How much of the sky a place sees, 0..1: less near the feet of other things, under them, and near the ground."""
    height = place[2]
    seen = 1.0 if thing == GROUND else 0.62 + 0.38 * min(1.0, height / 0.8)
    if height > 0.6:
        return seen
    columns, rows = placed.cell_tops.shape
    column = math.floor((place[0] - placed.corner[0]) / CELL)
    row = math.floor((place[1] - placed.corner[1]) / CELL)
    if not (0 <= column < columns and 0 <= row < rows):
        return seen
    for member in range(placed.cell_start[column * rows + row], placed.cell_start[column * rows + row + 1]):
        other = placed.members[member]
        if other != thing:
            pose, foot = placed.poses[other], shapes.model_feet[placed.models[other]]
            east, north = place[0] - pose[0], place[1] - pose[1]
            x, y = pose[2] * east + pose[3] * north, pose[2] * north - pose[3] * east
            aside = max(foot[0] - x, x - foot[2], 0.0), max(foot[1] - y, y - foot[3], 0.0)
            gap = math.sqrt(aside[0] * aside[0] + aside[1] * aside[1])
            if gap < _NEAR:
                seen *= 1 - (1 - height / 0.6) * 0.68 * (1 - gap / _NEAR) ** 2
    return seen


@inlined
def _surface(light: Light, surfaces: Coats, index: int, normal: Any, place: Any, way: Any, lit: bool, open_air: float,
             ground: bool) -> Any:
    """The light that leaves a surface against ``way``."""
    up = 0.5 + 0.5 * normal[2]
    facing = 0.0
    if lit:
        facing = (normal[0] * light.sun_direction[0] + normal[1] * light.sun_direction[1]
                  + normal[2] * light.sun_direction[2])
    lamp_red, lamp_green, lamp_blue = _lamp_light(light, normal, place)
    bounce = 1 - up
    sun_height = max(light.sun_direction[2], 0.0)
    color = surfaces.colors[index]
    above_red = 0.55 * light.zenith[0] + 0.45 * light.horizon[0]
    above_green = 0.55 * light.zenith[1] + 0.45 * light.horizon[1]
    above_blue = 0.55 * light.zenith[2] + 0.45 * light.horizon[2]
    red = open_air * (up * above_red + bounce * _GROUND_LIGHT[0] * (above_red + sun_height * light.sun[0]))
    green = open_air * (up * above_green + bounce * _GROUND_LIGHT[1] * (above_green + sun_height * light.sun[1]))
    blue = open_air * (up * above_blue + bounce * _GROUND_LIGHT[2] * (above_blue + sun_height * light.sun[2]))
    red = color[0] * (red + facing * light.sun[0] + lamp_red)
    green = color[1] * (green + facing * light.sun[1] + lamp_green)
    blue = color[2] * (blue + facing * light.sun[2] + lamp_blue)
    gloss = surfaces.gloss[index]
    if ground and light.wetness > 0:
        pool = min(max(0.5 + noise2(place[0] / 2.5, place[1] / 2.5, light.seed + 3), 0.15), 1.0)
        gloss = light.wetness * pool
        red, green, blue = (1 - 0.45 * gloss) * red, (1 - 0.45 * gloss) * green, (1 - 0.45 * gloss) * blue
    if gloss > 0:
        across = normal[0] * way[0] + normal[1] * way[1] + normal[2] * way[2]
        share = gloss * (0.06 + 0.94 * (1 - min(1.0, abs(across))) ** 5)
        mirrored = (way[0] - 2 * across * normal[0], way[1] - 2 * across * normal[1], way[2] - 2 * across * normal[2])
        seen = _mirrored(light, mirrored, lit)
        red, green, blue = red + share * seen[0], green + share * seen[1], blue + share * seen[2]
    glow = surfaces.glow[index]
    if glow > 0:
        shining = glow * _LAMP_GLOW * light.glow
        if color[0] + color[1] + color[2] < 0.15:
            return red + 0.10 * shining, green + 0.075 * shining, blue + 0.04 * shining
        red, green, blue = red + shining * color[0], green + shining * color[1], blue + shining * color[2]
    return red, green, blue


@inlined
def _mirrored(light: Light, way: Any, lit: bool) -> Any:
    """What a glossy surface mirrors: the sky above, houses and ground below, the sun's spot."""
    red, green, blue = _sky(light, way, False)
    if way[2] < 0.25:
        share = 0.35 + 0.65 * max(way[2], 0.0) / 0.25
        red, green, blue = share * red, share * green, share * blue
    if lit:
        sun = way[0] * light.sun_direction[0] + way[1] * light.sun_direction[1] + way[2] * light.sun_direction[2]
        if sun > 0.9:
            spot = 14 * ((sun - 0.9) / 0.1) ** 8
            red, green, blue = red + spot * light.sun[0], green + spot * light.sun[1], blue + spot * light.sun[2]
    return red, green, blue


@inlined
def _lamp_light(light: Light, normal: Any, place: Any) -> tuple[float, float, float]:
    """The light of street lights and headlamps at a place."""
    red, green, blue = 0.0, 0.0, 0.0
    for index in range(len(light.lamps)):
        lamp = light.lamps[index]
        x, y, z = lamp[0] - place[0], lamp[1] - place[1], lamp[2] - place[2]
        square = x * x + y * y + z * z
        if square > 1600:
            continue
        far = math.sqrt(square)
        within = -(x * lamp[3] + y * lamp[4] + z * lamp[5]) / far - lamp[6]
        facing = (x * normal[0] + y * normal[1] + z * normal[2]) / far
        if within > 0 and facing > 0:
            power = (0.15 + 0.85 * facing) * min(1.0, within / (0.4 * (1 - lamp[6]))) / (square + 4)
            red, green, blue = red + power * lamp[7], green + power * lamp[8], blue + power * lamp[9]
    return red, green, blue
