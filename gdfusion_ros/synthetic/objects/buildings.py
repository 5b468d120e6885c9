"""Buildings: houses with gabled roofs, blocks of flats, shops and offices."""

from __future__ import annotations

import numpy as np

from gdfusion_ros.synthetic.objects.materials import DARK, GALVANIZED, GLASS, assemble, linear, pick, shade
from gdfusion_ros.synthetic.objects.solids import Finish, Vector, X, Y, box, extruded
from gdfusion_ros.synthetic.world import Material, Model, Part

MANMADE = 15
FLOOR = 3.0
"""Height of a storey [m]; the texture of facades has it, too."""

_PLASTER = (0xD8CDB8, 0xC9B48F, 0xB9A08A, 0xE2DCCB, 0xC98F6A, 0xA8B0A8, 0xB8C4CC, 0xD0A878, 0x9A8F85, 0xDCC9A0)
_BRICKS = (0x9A4F38, 0x84422F, 0xA8684A, 0x7A5A48)
_ROOFS = (0x7A3A2A, 0x5A3A30, 0x4A4A4E, 0x8A4A34, 0x3F444A)
_AWNINGS = (0xB03030, 0x2F6F4A, 0x2F5A8A, 0xD0A030, 0x6A3A6A)


def building(rng: np.random.Generator, length: float, width: float, height: float) -> Model:
    """A building that fills the ground plan ``length`` x ``width``, ``height`` to its ridge or parapet [m].

    Its front faces x. Low ones have gabled roofs, high ones flat ones.
    """
    brick = rng.random() < 0.35
    color = pick(rng, _BRICKS if brick else _PLASTER)
    gabled = height < 12 and rng.random() < 0.6
    eaves = height - min(0.3 * height, 0.4 * min(length, width)) if gabled else height
    half, wide = length / 2, width / 2
    walls: Finish = (Material.FACADE, color)
    plinth: Finish = (Material.PLASTER, shade(color, 0.55))
    parts = [
        box((-half + 0.3, -wide + 0.3, 0.0), (half - 0.3, wide - 0.3, eaves - 0.1), walls),
        box((-half + 0.22, -wide + 0.22, 0.0), (half - 0.22, wide - 0.22, 0.5), plinth),
    ]
    if gabled:
        parts += _gable(length, width, (eaves, height), color, rng)
    else:
        parts += _parapet(length, width, height, color, rng)
    return assemble('building', MANMADE, [*parts, *_front(half, width, eaves, color, rng)])


def _gable(
    length: float, width: float, heights: tuple[float, float], color: Vector, rng: np.random.Generator
) -> list[Part]:
    """A roof along the longer side, a triangle of wall under it, and a chimney."""
    eaves, ridge = heights
    roof: Finish = (Material.BRICK, pick(rng, _ROOFS))
    along, across = (X, width / 2) if length >= width else (Y, length / 2)
    reach = max(length, width) / 2
    triangle = [(-across, eaves - 0.1), (across, eaves - 0.1), (across, eaves), (0.0, ridge), (-across, eaves)]
    inner = [(-across + 0.3, eaves - 0.1), (across - 0.3, eaves - 0.1), (0.0, ridge - 0.4)]
    chimney = (0.2 * length, 0.12 * width, eaves)
    return [
        extruded(triangle, along, (-reach + 0.18, reach - 0.18), roof),
        extruded(inner, along, (-reach + 0.14, reach - 0.14), (Material.PLASTER, color)),
        box(chimney, (chimney[0] + 0.7, chimney[1] + 0.7, ridge), (Material.BRICK, linear(0x84422F))),
    ]


def _parapet(length: float, width: float, height: float, color: Vector, rng: np.random.Generator) -> list[Part]:
    """A cornice round a flat roof, bands between storeys, machines on the roof."""
    half, wide = length / 2, width / 2
    trim: Finish = (Material.PLASTER, shade(color, float(rng.uniform(0.6, 1.25))))
    parts = [
        box((-half, -wide, height - 0.55), (half, wide, height - 0.15), trim),
        box((-half + 0.2, -wide + 0.2, height - 0.15), (half - 0.2, wide - 0.2, height), trim),
    ]
    if rng.random() < 0.5:
        parts.append(box((-half + 0.2, -wide + 0.2, FLOOR + 0.4), (half - 0.2, wide - 0.2, FLOOR + 0.65), trim))
    return parts


def _front(half: float, width: float, eaves: float, color: Vector, rng: np.random.Generator) -> list[Part]:
    """A door, and shop windows with an awning or balconies."""
    face, wide = half - 0.3, width / 2
    door = float(rng.uniform(-0.6, 0.6)) * (wide - 1.2)
    parts = [
        box((face - 0.1, door - 0.75, 0.0), (face + 0.1, door + 0.75, 2.5), (Material.PLASTER, shade(color, 1.3))),
        box(
            (face - 0.1, door - 0.55, 0.0),
            (face + 0.13, door + 0.55, 2.3),
            (Material.WOOD, pick(rng, (0x5A3A24, 0x2F4A3A, 0x3A3F4A, 0x7A2A24))),
        ),
    ]
    choice = rng.random()
    if choice < 0.35 and width > 7 and eaves > 4:
        for left, right in ((-wide + 0.8, door - 1.0), (door + 1.0, wide - 0.8)):
            if right - left > 1.5:
                parts += [
                    box((face - 0.1, left, 0.5), (face + 0.06, right, 2.5), GLASS),
                    box((face - 0.1, left - 0.1, 2.5), (face + 0.12, right + 0.1, 3.0), DARK),
                    extruded(
                        [(face, 2.5), (face + 0.25, 2.5), (face, 2.95)],
                        Y,
                        (left, right),
                        (Material.CLOTH, pick(rng, _AWNINGS)),
                    ),
                ]
    elif choice < 0.6 and eaves > 7:
        for level in range(1, int(eaves / FLOOR)):
            for place in (-0.5 * wide, 0.5 * wide):
                base, left, right = level * FLOOR, place - 1.1, place + 1.1
                parts += [
                    box((face, left, base + 0.1), (half - 0.02, right, base + 0.25), GALVANIZED),
                    box((half - 0.08, left, base + 0.25), (half, right, base + 1.1), DARK),
                ]
    return parts
