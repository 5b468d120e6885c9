"""What surfaces look like before light falls on them: patterns that are computed, not stored.

Compiled. A pattern is a function of the place on the thing, so it moves with it; detail that is finer than a pixel
fades to its mean.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.synthetic.optics.compiled import inlined, kernel
from gdfusion_ros.datasets.synthetic.optics.noise import noise2, noise3, uniform
from gdfusion_ros.datasets.synthetic.optics.packing import Placement, Shapes
from gdfusion_ros.datasets.synthetic.optics.tracing import GROUND, SKY, Hits
from gdfusion_ros.datasets.synthetic.things.solids import Floats
from gdfusion_ros.datasets.synthetic.world import Material, Surface

Colors = NDArray[np.float32]

_GLASS, _RUBBER, _METAL, _BRICK, _PLASTER, _FACADE = (
    int(m) for m in (Material.GLASS, Material.RUBBER, Material.METAL, Material.BRICK, Material.PLASTER,
                     Material.FACADE))
_FOLIAGE, _BARK, _CLOTH, _STRIPES, _LAMP, _WOOD, _PAINT = (
    int(m) for m in (Material.FOLIAGE, Material.BARK, Material.CLOTH, Material.STRIPES, Material.LAMP, Material.WOOD,
                     Material.PAINT))
_ASPHALT, _WHITE, _YELLOW, _SIDEWALK, _KERB, _GRASS, _EARTH = (
    int(s) for s in (Surface.ASPHALT, Surface.LINE_WHITE, Surface.LINE_YELLOW, Surface.SIDEWALK, Surface.KERB,
                     Surface.GRASS, Surface.EARTH))
_GLASS_COLOR = (0.030, 0.038, 0.042)
_FLOOR = 3.0
_BAY = 2.6


class Rays(NamedTuple):
    """How rays arrive.

    Attributes:
        points: (n, 3) where they hit.
        directions: (n, 3) of length 1.
        pixel: a pixel's width at a distance of 1.
        way: how far they had come before they were mirrored to start here [m].
    """

    points: Floats
    directions: Floats
    pixel: float
    way: float


class Coats(NamedTuple):
    """How surfaces answer light.

    Attributes:
        colors: (n, 3) float32 share of the light that comes back from a rough surface, linear RGB.
        gloss: (n,) float32 how much it mirrors, 0..1.
        glow: (n,) float32 light given off at night, in units of ``colors``.
    """

    colors: Colors
    gloss: NDArray[np.float32]
    glow: NDArray[np.float32]


def coats(shapes: Shapes, placed: Placement, hits: Hits, rays: Rays, wetness: float, seed: int) -> Coats:
    """The surfaces where ``rays`` hit; ``wetness`` 0..1 makes the ground dark and glossy."""
    count = len(rays.points)
    found = Coats(np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32))
    _coats(shapes, placed, hits, rays, wetness, seed, found)
    return found


def mirrored(points: Floats, directions: Floats, seed: int) -> Floats:
    """(n, 3) where rays in ``directions`` go on from ``points`` on wet ground, whose ripples bend them."""
    onward = directions * (1.0, 1.0, -1.0)
    _ripple(points, seed, onward)
    return onward


@kernel
def _ripple(points: Floats, seed: int, onward: Floats) -> None:
    for index in range(len(points)):
        x, y = points[index, 0], points[index, 1]
        onward[index, 0] += 0.012 * noise2(x / 0.07, y / 0.07, seed + 21)
        onward[index, 1] += 0.012 * noise2(x / 0.07, y / 0.07, seed + 22)
        lifted = onward[index, 2] + 0.035 * noise2(x / 0.05, y / 0.05, seed + 23) * min(1.0, 5 * onward[index, 2])
        onward[index, 2] = max(lifted, 1e-3)
        length = math.sqrt(onward[index, 0] ** 2 + onward[index, 1] ** 2 + onward[index, 2] ** 2)
        for axis in range(3):
            onward[index, axis] /= length


@kernel
def _coats(shapes: Shapes, placed: Placement, hits: Hits, rays: Rays, wetness: float, seed: int,
           found: Coats) -> None:
    for index in range(len(rays.points)):
        thing = hits.things[index]
        if thing == SKY:
            continue
        normal, way, (east, north, up) = hits.normals[index], rays.directions[index], rays.points[index]
        across = abs(normal[0] * way[0] + normal[1] * way[1] + normal[2] * way[2])
        footprint, slant = rays.pixel * (hits.distances[index] + rays.way), 1 / max(across, 0.02)
        if thing == GROUND:
            widths = _widths(way[0], way[1], footprint, slant)
            red, green, blue = _ground(hits.parts[index], east, north, widths, seed)
            gloss, glow = 0.0, 0.0
            if wetness > 0:
                gloss = wetness * min(max(0.5 + 0.8 * noise2(east / 2.5, north / 2.5, seed + 14), 0.12), 1.0)
                red, green, blue = (1 - 0.5 * gloss) * red, (1 - 0.5 * gloss) * green, (1 - 0.5 * gloss) * blue
        else:
            part = hits.parts[index]
            cos, sin = placed.poses[thing, 2], placed.poses[thing, 3]
            east, north = east - placed.poses[thing, 0], north - placed.poses[thing, 1]
            place = (cos * east + sin * north, cos * north - sin * east, up)
            facing = (cos * normal[0] + sin * normal[1], cos * normal[1] - sin * normal[0], normal[2])
            red, green, blue, gloss, glow = _thing(
                shapes.materials[part], shapes.colors[part], shapes.boxes[part], place, facing,
                footprint * math.sqrt(slant), seed + 7919 * thing)
        found.colors[index, 0], found.colors[index, 1], found.colors[index, 2] = red, green, blue
        found.gloss[index], found.glow[index] = gloss, glow


@inlined
def _widths(x: float, y: float, footprint: float, slant: float) -> tuple[float, float]:
    """How wide a pixel is on the ground along x and along y [m], seen in a direction."""
    flat = math.sqrt(x * x + y * y) + 1e-9
    x, y = x / flat, y / flat
    return (footprint * math.sqrt((slant * x) ** 2 + y * y), footprint * math.sqrt((slant * y) ** 2 + x * x))


@inlined
def _detail(size: float, footprint: float) -> float:
    """How much of a pattern of some size [m] is still to be seen, 0..1, where a pixel is ``footprint`` wide."""
    return min(max(1.5 - 2 * footprint / size, 0.0), 1.0)


@inlined
def _grain(x: float, y: float, size: float, footprint: float, seed: int) -> float:
    """Noise in the plane with bumps of some size [m], -1..1, 0 where it is too fine to be seen."""
    seen = _detail(size, footprint)
    return seen * noise2(x / size, y / size, seed) if seen > 0 else 0.0


@inlined
def _clump(place: Any, size: float, footprint: float, seed: int) -> float:
    """Noise in space with bumps of some size [m], -1..1, 0 where it is too fine to be seen."""
    seen = _detail(size, footprint)
    return seen * noise3(place[0] / size, place[1] / size, place[2] / size, seed) if seen > 0 else 0.0


@inlined
def _joint(x: float, period: float, width: float, footprint: float) -> float:
    """Joints of some width every ``period``: 1 in a joint, 0 beside it, their mean share where a pixel is wider."""
    wide = max(width, footprint)
    inside = x - period * math.floor(x / period)
    return width / wide if inside < wide else 0.0


@inlined
def _ground(surface: int, x: float, y: float, widths: tuple[float, float], seed: int) -> tuple[float, float, float]:
    """The colour of a place on the ground."""
    footprint = math.sqrt(widths[0] * widths[1])
    if surface == _ASPHALT:
        light = _asphalt(x, y, footprint, seed)
        return light, light, 1.03 * light
    if surface in (_WHITE, _YELLOW):
        worn = 0.80 + 0.14 * _grain(x, y, 0.25, footprint, seed + 3) + 0.10 * _grain(x, y, 0.04, footprint, seed + 4)
        return (0.78 * worn, 0.78 * worn, 0.75 * worn) if surface == _WHITE else (0.80 * worn, 0.52 * worn, 0.08 * worn)
    if surface == _GRASS:
        light = 1 + 0.25 * noise2(x / 4, y / 4, seed + 5) + 0.35 * _grain(x, y, 0.5, footprint, seed + 6)
        light += 0.5 * _grain(x, y, 0.08, footprint, seed + 7)
        dry = 0.5 + 0.5 * noise2(x / 9, y / 9, seed + 8)
        return light * (0.085 + 0.075 * dry), light * (0.150 + 0.020 * dry), light * (0.040 + 0.01 * dry)
    if surface == _EARTH:
        light = 1 + 0.2 * noise2(x / 3, y / 3, seed + 9) + 0.3 * _grain(x, y, 0.3, footprint, seed + 10)
        light += 0.3 * _grain(x, y, 0.06, footprint, seed + 11)
        return 0.26 * light, 0.185 * light, 0.115 * light
    if surface in (_SIDEWALK, _KERB):
        size = 0.75 if surface == _SIDEWALK else 1.0
        light = _slabs(x, y, (size, 0.025), widths, seed) * (1 + 0.10 * _grain(x, y, 0.1, footprint, seed + 12))
        light *= 0.30 if surface == _SIDEWALK else 0.46
        return light, 0.97 * light, 0.91 * light
    light = _slabs(x, y, (0.22, 0.02), widths, seed) * (1 + 0.15 * noise2(x, y, seed + 13))
    return 0.29 * light, 0.17 * light, 0.13 * light


@inlined
def _asphalt(x: float, y: float, footprint: float, seed: int) -> float:
    """Brightness of asphalt: grain, mended rectangles, cracks, manhole covers."""
    light = 0.125 + 0.018 * noise2(x / 5, y / 5, seed) + 0.014 * _grain(x, y, 0.6, footprint, seed + 1)
    light += 0.026 * _grain(x, y, 0.05, footprint, seed + 2) + 0.020 * _grain(x, y, 0.018, footprint, seed + 15)
    if uniform(math.floor(x / 5.3), math.floor(y / 2.7), 0, seed + 16) < 0.10:
        light *= 0.72
    crack = abs(noise2(x / 2.2, y / 2.2, seed + 17) + 0.25 * noise2(x / 0.4, y / 0.4, seed + 18))
    if crack < 0.02 and noise2(x / 11, y / 11, seed + 19) > 0.1:
        light *= 1 - 0.45 * _detail(0.08, footprint)
    i, j = math.floor(x / 13), math.floor(y / 13)
    if uniform(i, j, 1, seed + 20) < 0.35:
        east = x - 13 * (i + 0.1 + 0.8 * uniform(i, j, 2, seed + 20))
        north = y - 13 * (j + 0.1 + 0.8 * uniform(i, j, 3, seed + 20))
        far = math.sqrt(east * east + north * north)
        if far < 0.34:
            light = 0.05 if far > 0.30 else 0.085 + 0.04 * _joint(x + y, 0.09, 0.045, footprint)
    return light


@inlined
def _slabs(x: float, y: float, size: tuple[float, float], widths: tuple[float, float], seed: int) -> float:
    """Brightness, about 1, of square slabs; ``size`` is their edge and the width of their joints [m]."""
    edge, gap = size
    one = uniform(math.floor(x / edge), math.floor(y / edge), 3, seed) - 0.5
    joint = max(_joint(x, edge, gap, widths[0]), _joint(y, edge, gap, widths[1]))
    return (1 + 0.3 * one * _detail(edge, max(widths[0], widths[1]))) * (1 - 0.5 * joint)


@inlined
def _thing(material: int, color: Colors, box: Floats, place: Any, facing: Any, footprint: float, seed: int) -> Any:
    """Colour, gloss and glow of a place on a thing; ``place`` and ``facing`` (its normal) are in the thing's frame."""
    red, green, blue = color[0], color[1], color[2]
    light, gloss, glow = 1.0, 0.0, 0.0
    if material == _PAINT:
        dirt = max(0.0, 1 - place[2] / 0.7)
        light, gloss = 1 - 0.25 * dirt + 0.05 * _clump(place, 0.5, footprint, seed), 0.35
    elif material == _GLASS:
        gloss = 1.0
    elif material == _METAL:
        light, gloss = 1 + 0.12 * _clump(place, 0.2, footprint, seed), 0.5
    elif material == _LAMP:
        gloss, glow = 0.4, 1.0
    elif material == _FACADE:
        return _facade(color, box, place, facing, footprint, seed)
    elif material == _BRICK:
        light = _bricks(place[0] + place[1], place[2], footprint, seed)
    elif material == _STRIPES:
        red, green, blue = _stripes(color, box, place, footprint)
        gloss = 0.15
    else:
        light = _rough(material, place, footprint, seed)
    return light * red, light * green, light * blue, gloss, glow


@inlined
def _rough(material: int, place: Any, footprint: float, seed: int) -> float:
    """Brightness of materials without gloss."""
    if material == _FOLIAGE:
        leaves = 0.35 * _clump(place, 0.6, footprint, seed) + 0.50 * _clump(place, 0.17, footprint, seed + 1)
        return max(0.15, 1 + leaves + 0.55 * _clump(place, 0.055, footprint, seed + 2))
    if material == _BARK:
        return 1 + 0.3 * _clump((place[0] * 4, place[1] * 4, place[2]), 0.3, footprint, seed)
    if material == _WOOD:
        board = 0.6 * (uniform(math.floor(place[2] / 0.14), math.floor((place[0] + place[1]) / 1.1), 0, seed) - 0.5)
        return 1 + board * _detail(0.14, footprint) - 0.4 * _joint(place[2], 0.14, 0.015, footprint)
    if material == _CLOTH:
        return 1 + 0.22 * _clump(place, 0.14, footprint, seed)
    return 1 + 0.08 * _clump(place, 0.8, footprint, seed) + 0.10 * _clump(place, 0.06, footprint, seed + 1)


@inlined
def _bricks(along: float, up: float, footprint: float, seed: int) -> float:
    """Brightness of courses of bricks, 0.26 x 0.09 m."""
    course = math.floor(up / 0.09)
    shifted = along + 0.13 * (course % 2)
    one = uniform(math.floor(shifted / 0.26), course, 0, seed) - 0.5
    mortar = max(_joint(shifted, 0.26, 0.016, footprint), _joint(up, 0.09, 0.016, footprint))
    return (1 + 0.5 * one * _detail(0.26, footprint)) * (1 + 0.6 * mortar)


@inlined
def _stripes(color: Colors, box: Floats, place: Any, footprint: float) -> Any:
    """Warning stripes: rings round what is narrow, slanted ones on what is broad."""
    if box[4] - box[1] < 0.5:
        band = (place[2] - box[2]) / (box[5] - box[2])
        white = 0.45 < band < 0.72
    else:
        slanted = (place[0] + place[1] + place[2]) / 0.5
        white = slanted - math.floor(slanted) < 0.5
        if footprint > 0.5:
            return 0.5 * color[0] + 0.4, 0.5 * color[1] + 0.4, 0.5 * color[2] + 0.39
    return (0.80, 0.80, 0.78) if white else (color[0], color[1], color[2])


@inlined
def _facade(color: Colors, box: Floats, place: Any, facing: Any, footprint: float, seed: int) -> Any:
    """A wall of plaster or bricks with rows of framed windows, some of them lit at night."""
    axis = 1 if abs(facing[0]) > 0.5 else 0
    style = uniform(0, 0, 0, seed)
    if style < 0.4:
        light = _bricks(place[axis], place[2], footprint, seed)
    else:
        light = 1 + 0.07 * _clump(place, 1.2, footprint, seed) + 0.07 * _clump(place, 0.07, footprint, seed + 1)
    light *= 0.86 + 0.14 * min(1.0, place[2] / 2)
    wall = (light * color[0], light * color[1], light * color[2], 0.0, 0.0)
    if abs(facing[2]) > 0.5:
        return wall
    wide = box[axis + 3] - box[axis]
    bays = max(1.0, math.floor(wide / (_BAY + style)))
    bay = (place[axis] - box[axis]) / wide * bays
    level = place[2] / _FLOOR
    across = (bay - math.floor(bay) - 0.5) * wide / bays
    up = (level - math.floor(level)) * _FLOOR
    if place[2] + _FLOOR - up > box[5] + 0.2:
        return wall
    half = min(0.62 + 0.5 * uniform(1, 0, 0, seed), 0.4 * wide / bays)
    sill, lintel = 0.9 - 0.4 * uniform(2, 0, 0, seed), 2.35
    if abs(across) > half + 0.1 or up < sill - 0.1 or up > lintel + 0.1:
        return wall
    if abs(across) > half or up < sill or up > lintel or abs(across) < 0.03:
        return 0.62, 0.61, 0.58, 0.1, 0.0
    window = uniform(math.floor(bay), math.floor(level), axis + 3, seed)
    if window < 0.25:
        shaded = 0.35 + window
        return shaded, 0.96 * shaded, 0.86 * shaded, 0.15, 0.5
    return _GLASS_COLOR[0], _GLASS_COLOR[1], _GLASS_COLOR[2], 1.0, 3.0 * (window > 0.68)
