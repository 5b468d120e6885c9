"""What surfaces look like before light falls on them: patterns that are computed, not stored.

Compiled. A pattern is a function of the place on the object, so it moves with it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.objects.solids import Floats
from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.rendering.facades import facade
from gdfusion_ros.synthetic.rendering.noise import noise2, uniform
from gdfusion_ros.synthetic.rendering.packing import Placement, Shapes
from gdfusion_ros.synthetic.rendering.patterns import bricks, clump, detail, joint
from gdfusion_ros.synthetic.rendering.pavements import ground_color, pixel_widths, wet_gloss
from gdfusion_ros.synthetic.rendering.tracing import GROUND, SKY, Hits
from gdfusion_ros.synthetic.world import Material

Colors = NDArray[np.float32]

_PAINT, _GLASS, _METAL, _BRICK, _FACADE, _FOLIAGE, _BARK, _CLOTH, _STRIPES, _LAMP, _WOOD = (
    int(m)
    for m in (
        Material.PAINT,
        Material.GLASS,
        Material.METAL,
        Material.BRICK,
        Material.FACADE,
        Material.FOLIAGE,
        Material.BARK,
        Material.CLOTH,
        Material.STRIPES,
        Material.LAMP,
        Material.WOOD,
    )
)
_DARK = (0.0, 0.0, 0.0)
_LAMP_GLOW = 2.2


class Rays(NamedTuple):
    """How rays arrive.

    Attributes:
        points: (n, 3) where they hit.
        directions: (n, 3) of length 1.
        pixel: a pixel's width at a distance of 1.
        distance: how far they had come before they were mirrored to start here [m].
    """

    points: Floats
    directions: Floats
    pixel: float
    distance: float


class Reflectance(NamedTuple):
    """How surfaces answer light.

    Attributes:
        colors: (n, 3) float32 share of the light that comes back from a rough surface, linear RGB.
        gloss: (n,) float32 how much it mirrors, 0..1.
        glows: (n, 3) float32 light that it gives off where lamps are on, linear RGB.
    """

    colors: Colors
    gloss: NDArray[np.float32]
    glows: Colors


def coats(shapes: Shapes, placed: Placement, hits: Hits, rays: Rays, wetness: float, seed: int) -> Reflectance:
    """The surfaces where ``rays`` hit; ``wetness`` 0..1 makes the ground dark and glossy."""
    count = len(rays.points)
    found = Reflectance(np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.zeros((count, 3), np.float32))
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
def _coats(
    shapes: Shapes, placed: Placement, hits: Hits, rays: Rays, wetness: float, seed: int, found: Reflectance
) -> None:
    for index in range(len(rays.points)):
        item, part = hits.objects[index], hits.parts[index]
        if item == SKY:
            continue
        normal, direction, (east, north, up) = hits.normals[index], rays.directions[index], rays.points[index]
        across = abs(normal[0] * direction[0] + normal[1] * direction[1] + normal[2] * direction[2])
        footprint, slant = rays.pixel * (hits.distances[index] + rays.distance), 1 / max(across, 0.02)
        if item == GROUND:
            color = ground_color(part, east, north, pixel_widths(direction[0], direction[1], footprint, slant), seed)
            gloss, glow = wet_gloss(part, east, north, wetness, seed) if wetness > 0 else 0.0, _DARK
            color = ((1 - 0.5 * gloss) * color[0], (1 - 0.5 * gloss) * color[1], (1 - 0.5 * gloss) * color[2])
        else:
            cos, sin = placed.poses[item, 2], placed.poses[item, 3]
            east, north = east - placed.poses[item, 0], north - placed.poses[item, 1]
            place = (cos * east + sin * north, cos * north - sin * east, up)
            facing = (cos * normal[0] + sin * normal[1], cos * normal[1] - sin * normal[0], normal[2])
            color, gloss, glow = _object(shapes, part, place, facing, footprint * math.sqrt(slant), seed + 7919 * item)
        found.gloss[index] = gloss
        found.colors[index, 0], found.colors[index, 1], found.colors[index, 2] = color
        found.glows[index, 0], found.glows[index, 1], found.glows[index, 2] = glow


@inlined
def _object(shapes: Shapes, part: int, place: Any, facing: Any, footprint: float, seed: int) -> Any:
    """Colour, gloss and glow of a place on an object; ``place`` and ``facing``, its normal, are in its frame."""
    material, box = shapes.materials[part], shapes.boxes[part]
    color = (float(shapes.colors[part, 0]), float(shapes.colors[part, 1]), float(shapes.colors[part, 2]))
    light, gloss, glow = 1.0, 0.0, _DARK
    if material == _FACADE:
        return facade(color, box, place, facing, footprint, seed)
    if material == _PAINT:
        light = 1 - 0.25 * max(0.0, 1 - place[2] / 0.7) + 0.05 * clump(place, 0.5, footprint, seed)
        gloss = 0.35
    elif material == _GLASS:
        gloss = 1.0
    elif material == _METAL:
        light, gloss = 1 + 0.12 * clump(place, 0.2, footprint, seed), 0.5
    elif material == _LAMP:
        gloss, glow = 0.4, (_LAMP_GLOW * color[0], _LAMP_GLOW * color[1], _LAMP_GLOW * color[2])
    elif material == _BRICK:
        light = bricks(place[0] + place[1], place[2], footprint, seed)
    elif material == _STRIPES:
        color, gloss = _stripes(color, box, place, footprint), 0.15
    else:
        light = _rough(material, place, footprint, seed)
    return (light * color[0], light * color[1], light * color[2]), gloss, glow


@inlined
def _rough(material: int, place: Any, footprint: float, seed: int) -> float:
    """Brightness of materials without gloss."""
    if material == _FOLIAGE:
        leaves = 0.35 * clump(place, 0.6, footprint, seed) + 0.50 * clump(place, 0.17, footprint, seed + 1)
        return max(0.15, 1 + leaves + 0.55 * clump(place, 0.055, footprint, seed + 2))
    if material == _BARK:
        return 1 + 0.3 * clump((place[0] * 4, place[1] * 4, place[2]), 0.3, footprint, seed)
    if material == _WOOD:
        board = 0.6 * (uniform(math.floor(place[2] / 0.14), math.floor((place[0] + place[1]) / 1.1), 0, seed) - 0.5)
        return 1 + board * detail(0.14, footprint) - 0.4 * joint(place[2], 0.14, 0.015, footprint)
    if material == _CLOTH:
        return 1 + 0.22 * clump(place, 0.14, footprint, seed)
    return 1 + 0.08 * clump(place, 0.8, footprint, seed) + 0.10 * clump(place, 0.06, footprint, seed + 1)


@inlined
def _stripes(color: Any, box: Floats, place: Any, footprint: float) -> Any:
    """Warning stripes: rings round what is narrow, slanted ones on what is broad."""
    if box[4] - box[1] < 0.5:
        band = (place[2] - box[2]) / (box[5] - box[2])
        white = 0.45 < band < 0.72
    else:
        slanted = (place[0] + place[1] + place[2]) / 0.5
        white = slanted - math.floor(slanted) < 0.5
        if footprint > 0.5:
            return 0.5 * color[0] + 0.4, 0.5 * color[1] + 0.4, 0.5 * color[2] + 0.39
    return (0.80, 0.80, 0.78) if white else color
