"""What the ground looks like: asphalt, lines, slabs, grass, earth, puddles. For compiled code."""

from __future__ import annotations

import math
from typing import Any

from gdfusion_ros.synthetic.rendering.compiled import inlined
from gdfusion_ros.synthetic.rendering.noise import noise2, uniform
from gdfusion_ros.synthetic.rendering.patterns import detail, grain, joint
from gdfusion_ros.synthetic.world import Surface

_ASPHALT, _WHITE, _YELLOW, _SIDEWALK, _KERB, _GRASS, _EARTH = (
    int(s)
    for s in (
        Surface.ASPHALT,
        Surface.LINE_WHITE,
        Surface.LINE_YELLOW,
        Surface.SIDEWALK,
        Surface.KERB,
        Surface.GRASS,
        Surface.EARTH,
    )
)


@inlined
def ground_color(surface: int, x: float, y: float, widths: tuple[float, float], seed: int) -> Any:
    """Linear RGB of a place on the ground of some Surface; ``widths`` are a pixel's there along x and y [m]."""
    footprint = math.sqrt(widths[0] * widths[1])
    if surface == _ASPHALT:
        light = _asphalt(x, y, footprint, seed)
        return light, light, 1.03 * light
    if surface in (_WHITE, _YELLOW):
        worn = 0.80 + 0.14 * grain(x, y, 0.25, footprint, seed + 3) + 0.10 * grain(x, y, 0.04, footprint, seed + 4)
        return (0.78 * worn, 0.78 * worn, 0.75 * worn) if surface == _WHITE else (0.80 * worn, 0.52 * worn, 0.08 * worn)
    if surface == _GRASS:
        light = 1 + 0.25 * noise2(x / 4, y / 4, seed + 5) + 0.35 * grain(x, y, 0.5, footprint, seed + 6)
        light += 0.5 * grain(x, y, 0.08, footprint, seed + 7)
        dry = 0.5 + 0.5 * noise2(x / 9, y / 9, seed + 8)
        return light * (0.085 + 0.075 * dry), light * (0.150 + 0.020 * dry), light * (0.040 + 0.01 * dry)
    if surface == _EARTH:
        light = 1 + 0.2 * noise2(x / 3, y / 3, seed + 9) + 0.3 * grain(x, y, 0.3, footprint, seed + 10)
        light += 0.3 * grain(x, y, 0.06, footprint, seed + 11)
        return 0.26 * light, 0.185 * light, 0.115 * light
    if surface in (_SIDEWALK, _KERB):
        size = 0.75 if surface == _SIDEWALK else 1.0
        light = _slabs(x, y, (size, 0.025), widths, seed) * (1 + 0.10 * grain(x, y, 0.1, footprint, seed + 12))
        light *= 0.30 if surface == _SIDEWALK else 0.46
        return light, 0.97 * light, 0.91 * light
    light = _slabs(x, y, (0.22, 0.02), widths, seed) * (1 + 0.15 * noise2(x, y, seed + 13))
    return 0.29 * light, 0.17 * light, 0.13 * light


@inlined
def _asphalt(x: float, y: float, footprint: float, seed: int) -> float:
    """Brightness of asphalt: grain, mended rectangles, cracks, manhole covers."""
    light = 0.125 + 0.018 * noise2(x / 5, y / 5, seed) + 0.014 * grain(x, y, 0.6, footprint, seed + 1)
    light += 0.026 * grain(x, y, 0.05, footprint, seed + 2) + 0.020 * grain(x, y, 0.018, footprint, seed + 15)
    if uniform(math.floor(x / 5.3), math.floor(y / 2.7), 0, seed + 16) < 0.10:
        light *= 0.72
    crack = abs(noise2(x / 2.2, y / 2.2, seed + 17) + 0.25 * noise2(x / 0.4, y / 0.4, seed + 18))
    if crack < 0.02 and noise2(x / 11, y / 11, seed + 19) > 0.1:
        light *= 1 - 0.45 * detail(0.08, footprint)
    i, j = math.floor(x / 13), math.floor(y / 13)
    if uniform(i, j, 1, seed + 20) < 0.35:
        east = x - 13 * (i + 0.1 + 0.8 * uniform(i, j, 2, seed + 20))
        north = y - 13 * (j + 0.1 + 0.8 * uniform(i, j, 3, seed + 20))
        far = math.sqrt(east * east + north * north)
        if far < 0.34:
            light = 0.05 if far > 0.30 else 0.085 + 0.04 * joint(x + y, 0.09, 0.045, footprint)
    return light


@inlined
def _slabs(x: float, y: float, size: tuple[float, float], widths: tuple[float, float], seed: int) -> float:
    """Brightness, about 1, of square slabs; ``size`` is their edge and the width of their joints [m]."""
    edge, gap = size
    one = uniform(math.floor(x / edge), math.floor(y / edge), 3, seed) - 0.5
    gaps = max(joint(x, edge, gap, widths[0]), joint(y, edge, gap, widths[1]))
    return (1 + 0.3 * one * detail(edge, max(widths[0], widths[1]))) * (1 - 0.5 * gaps)


@inlined
def pixel_widths(x: float, y: float, footprint: float, slant: float) -> tuple[float, float]:
    """How wide a pixel is on the ground along x and y [m], seen in the direction x, y; ``slant`` stretches it."""
    flat = math.sqrt(x * x + y * y) + 1e-9
    x, y = x / flat, y / flat
    return (footprint * math.sqrt((slant * x) ** 2 + y * y), footprint * math.sqrt((slant * y) ** 2 + x * x))


@inlined
def wet_gloss(surface: int, x: float, y: float, wetness: float, seed: int) -> float:
    """How much the wet ground mirrors at a place: puddles, and less on what soaks water up."""
    soaked = 0.12 if surface in (_GRASS, _EARTH) else 1.0
    return soaked * wetness * min(max(0.5 + 0.8 * noise2(x / 2.5, y / 2.5, seed + 14), 0.12), 1.0)
