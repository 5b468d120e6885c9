"""Patterns that surfaces share, for compiled code: grain, joints, bricks.

Lengths are metres. ``footprint`` is how wide a pixel is on the surface: detail that is finer fades to its mean.
"""

from __future__ import annotations

import math
from typing import Any

from gdfusion_ros.synthetic.rendering.compiled import inlined
from gdfusion_ros.synthetic.rendering.noise import noise2, noise3, uniform


@inlined
def detail(size: float, footprint: float) -> float:
    """How much of a pattern of some size [m] is still to be seen, 0..1, where a pixel is ``footprint`` wide."""
    return min(max(1.5 - 2 * footprint / size, 0.0), 1.0)


@inlined
def grain(x: float, y: float, size: float, footprint: float, seed: int) -> float:
    """Noise in the plane with bumps of some size [m], -1..1, 0 where it is too fine to be seen."""
    seen = detail(size, footprint)
    return seen * noise2(x / size, y / size, seed) if seen > 0 else 0.0


@inlined
def clump(place: Any, size: float, footprint: float, seed: int) -> float:
    """Noise in space with bumps of some size [m], -1..1, 0 where it is too fine to be seen."""
    seen = detail(size, footprint)
    return seen * noise3(place[0] / size, place[1] / size, place[2] / size, seed) if seen > 0 else 0.0


@inlined
def joint(x: float, period: float, width: float, footprint: float) -> float:
    """Joints of some width every ``period``: 1 in a joint, 0 beside it, their mean share where a pixel is wider."""
    wide = max(width, footprint)
    inside = x - period * math.floor(x / period)
    return width / wide if inside < wide else 0.0


@inlined
def bricks(along: float, up: float, footprint: float, seed: int) -> float:
    """Brightness of courses of bricks, 0.26 x 0.09 m."""
    course = math.floor(up / 0.09)
    shifted = along + 0.13 * (course % 2)
    one = uniform(math.floor(shifted / 0.26), course, 0, seed) - 0.5
    mortar = max(joint(shifted, 0.26, 0.016, footprint), joint(up, 0.09, 0.016, footprint))
    return (1 + 0.5 * one * detail(0.26, footprint)) * (1 + 0.6 * mortar)
