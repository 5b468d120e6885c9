"""Walls of buildings with rows of windows. For compiled code."""

from __future__ import annotations

import math
from typing import Any

from gdfusion_ros.synthetic.rendering.compiled import inlined
from gdfusion_ros.synthetic.rendering.noise import uniform
from gdfusion_ros.synthetic.rendering.patterns import bricks, clump

_FLOOR, _BAY = 3.0, 2.6
"""Height of a storey, least width of wall for one window [m]."""

_WALL, _FRAME, _PANE = range(3)
_FRAME_COLOR, _GLASS_COLOR = (0.62, 0.61, 0.58), (0.030, 0.038, 0.042)
_DARK, _LIT_ROOM = (0.0, 0.0, 0.0), (0.13, 0.090, 0.040)
_LINTEL = 2.35


@inlined
def facade(color: Any, box: Any, place: Any, facing: Any, footprint: float, seed: int) -> Any:
    """Colour, gloss and glow of a wall of plaster or bricks; some of its windows are lit at night.

    ``box`` (6,) is the building's, ``facing`` the wall's normal, both in its frame; ``seed`` is the building's.
    """
    axis = 1 if abs(facing[0]) > 0.5 else 0
    what, bay, storey = _opening(place[axis] - box[axis], box[axis + 3] - box[axis], place[2], box[5], seed)
    if what == _WALL or abs(facing[2]) > 0.5:
        if uniform(0, 0, 0, seed) < 0.4:
            light = bricks(place[axis], place[2], footprint, seed)
        else:
            light = 1 + 0.07 * clump(place, 1.2, footprint, seed) + 0.07 * clump(place, 0.07, footprint, seed + 1)
        light *= 0.86 + 0.14 * min(1.0, place[2] / 2)
        return (light * color[0], light * color[1], light * color[2]), 0.0, _DARK
    if what == _FRAME:
        return _FRAME_COLOR, 0.1, _DARK
    room = uniform(bay, storey, axis + 3, seed)
    if room < 0.25:
        curtain = 0.35 + room
        glow = 0.3 * (room < 0.12)
        return (
            (curtain, 0.96 * curtain, 0.86 * curtain),
            0.15,
            (glow * curtain, 0.72 * glow * curtain, 0.36 * glow * curtain),
        )
    return _GLASS_COLOR, 1.0, (_LIT_ROOM if room > 0.72 else _DARK)


@inlined
def _opening(along: float, wide: float, height: float, top: float, seed: int) -> tuple[int, int, int]:
    """Whether there is wall, a window's frame or its pane at a place on a wall, and the window's bay and storey."""
    bays = max(1.0, math.floor(wide / (_BAY + uniform(0, 0, 0, seed))))
    bay, storey = math.floor(along / wide * bays), math.floor(height / _FLOOR)
    across, up = abs(along - (bay + 0.5) * wide / bays), height - storey * _FLOOR
    half = min(0.62 + 0.5 * uniform(1, 0, 0, seed), 0.4 * wide / bays)
    sill = 0.9 - 0.4 * uniform(2, 0, 0, seed)
    if (storey + 1) * _FLOOR > top + 0.2 or across > half + 0.1 or up < sill - 0.1 or up > _LINTEL + 0.1:
        return _WALL, bay, storey
    framed = across > half or up < sill or up > _LINTEL or across < 0.03
    return (_FRAME if framed else _PANE), bay, storey
