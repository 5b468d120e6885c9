"""Cars: sedans, hatchbacks, sport utility vehicles and vans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdfusion_ros.synthetic.objects.materials import (
    DARK,
    GLASS,
    HEADLAMP,
    RUBBER,
    STEEL,
    TAIL_LAMP,
    WHITE_PLATE,
    assemble,
    pick,
)
from gdfusion_ros.synthetic.objects.solids import Finish, Y, box, cylinder, extruded, tapered
from gdfusion_ros.synthetic.world import Material, Model, Part

CAR = 4

_COLORS = (
    0xE9E9E6, 0xF2F2F0, 0x1C1D20, 0x26282C, 0x6D7278, 0x9DA3A8, 0xB9BDC0, 0x8E1B1B, 0xB3282D,
    0x1D3C72, 0x2A5CA8, 0x38506B, 0x27452F, 0x6B5B45, 0xC8B89A, 0xC9781F, 0xD9C22E, 0x4A2530,
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Proportions of a car.

    ``size`` is its usual length, width and height [m]; ``belt`` the lower edge of its windows, ``bonnet`` the front
    edge of its bonnet, as shares of the height; ``cabin`` where the cabin begins and ends at the belt line and at the
    roof (rear, rear of roof, front of roof, front), as shares of the length from the rear end.
    """

    size: tuple[float, float, float]
    belt: float
    bonnet: float
    cabin: tuple[float, float, float, float]
    glass_behind: bool = True


SHAPES = {
    'sedan': Shape((4.65, 1.84, 1.46), 0.63, 0.49, (0.10, 0.24, 0.55, 0.72)),
    'hatchback': Shape((4.15, 1.79, 1.52), 0.61, 0.50, (0.02, 0.10, 0.56, 0.74)),
    'suv': Shape((4.75, 1.95, 1.76), 0.61, 0.53, (0.01, 0.06, 0.58, 0.74)),
    'van': Shape((5.10, 2.00, 2.05), 0.56, 0.46, (0.00, 0.02, 0.74, 0.88), glass_behind=False),
}


def car(kind: str, rng: np.random.Generator) -> Model:
    """A car of a shape, size and colour by chance."""
    shape = SHAPES[str(rng.choice(list(SHAPES), p=(0.34, 0.26, 0.28, 0.12)))]
    length, width, height = (float(side * rng.uniform(0.95, 1.05)) for side in shape.size)
    paint: Finish = (Material.PAINT, pick(rng, _COLORS))
    parts = [
        *_body(shape, (length, width, height), paint),
        *_cabin(shape, (length, width, height), paint),
        *wheels((0.19 * length, 0.81 * length), length, width, 0.215 * min(height, 1.65)),
        *_details(shape, (length, width, height), paint),
    ]
    return assemble(kind, CAR, parts)


def wheels(axles: tuple[float, ...], length: float, width: float, radius: float) -> list[Part]:
    """A wheel with its hub at both sides of every axle, whose places are metres from the rear end."""
    parts = []
    for axle in axles:
        for side in (-1, 1):
            centre = (axle - length / 2, side * (width / 2 - 0.12), radius)
            parts.append(cylinder(Y, centre, radius, 0.28, RUBBER))
            parts.append(cylinder(Y, centre, 0.58 * radius, 0.31, STEEL))
    return parts


def _body(shape: Shape, size: tuple[float, float, float], paint: Finish) -> list[Part]:
    length, width, height = size
    half, belt, bonnet, sill = length / 2, shape.belt * height, shape.bonnet * height, 0.16 * height
    cowl = shape.cabin[3] * length - half
    outline = [
        (-half + 0.12, sill),
        (half - 0.12, sill),
        (half, sill + 0.14),
        (half, bonnet - 0.1),
        (half - 0.18, bonnet),
        (cowl, belt),
        (-half + 0.08, belt),
        (-half, belt - 0.12),
        (-half, sill + 0.12),
    ]
    skirt = box((-half + 0.35, -width / 2 - 0.008, sill - 0.03), (half - 0.35, width / 2 + 0.008, sill + 0.07), DARK)
    return [extruded(outline, Y, (-width / 2, width / 2), paint), skirt]


def _cabin(shape: Shape, size: tuple[float, float, float], paint: Finish) -> list[Part]:
    length, width, height = size
    rear, rear_top, front_top, front = (share * length - length / 2 for share in shape.cabin)
    belt, roof = shape.belt * height, height - 0.07
    foot, top = width / 2 - 0.05, width / 2 - 0.05 - 0.28 * (height - belt)
    glass = tapered((rear, front, -foot, foot), (rear_top, front_top, -top, top), (belt, roof), GLASS)
    cap = tapered(
        (rear_top - 0.02, front_top + 0.05, -top - 0.015, top + 0.015),
        (rear_top + 0.08, front_top - 0.15, -top + 0.1, top - 0.1),
        (roof, height),
        paint,
    )
    parts = [glass, cap]
    pillars = [(0.44, 0.08), (0.93, 0.05)] if shape.glass_behind else [(0.30, 0.62), (0.72, 0.08), (0.95, 0.05)]
    if shape.glass_behind:
        pillars.append((0.04, 0.07))
    for place, extent in pillars:
        low, high = rear + place * (front - rear), rear_top + place * (front_top - rear_top)
        parts.append(
            tapered(
                (low - extent * length / 2, low + extent * length / 2, -foot - 0.012, foot + 0.012),
                (high - extent * length / 2, high + extent * length / 2, -top - 0.012, top + 0.012),
                (belt, roof),
                paint,
            )
            if extent > 0.3
            else _pillar(low, high, (foot, top), (belt, roof), paint)
        )
    return parts


def _pillar(low: float, high: float, sides: tuple[float, float], heights: tuple[float, float], paint: Finish) -> Part:
    foot, top = sides
    return tapered(
        (low - 0.06, low + 0.06, -foot - 0.012, foot + 0.012),
        (high - 0.05, high + 0.05, -top - 0.012, top + 0.012),
        heights,
        paint,
    )


def _details(shape: Shape, size: tuple[float, float, float], paint: Finish) -> list[Part]:
    length, width, height = size
    half, wide, bonnet, belt = length / 2, width / 2, shape.bonnet * height, shape.belt * height
    mirror = shape.cabin[3] * length - half - 0.35
    parts = [
        box((half - 0.05, -0.45 * wide, bonnet - 0.28), (half + 0.015, 0.45 * wide, bonnet - 0.14), DARK),
        box((half - 0.05, -0.26, 0.28 * height), (half + 0.025, 0.26, 0.28 * height + 0.11), WHITE_PLATE),
        box((-half - 0.02, -0.26, 0.62 * belt), (-half + 0.05, 0.26, 0.62 * belt + 0.11), WHITE_PLATE),
        box((half - 0.3, -wide + 0.06, 0.16 * height), (half + 0.03, wide - 0.06, 0.26 * height), DARK),
        box((-half - 0.03, -wide + 0.06, 0.17 * height), (-half + 0.3, wide - 0.06, 0.27 * height), DARK),
    ]
    for side in (-1, 1):
        inner, outer = sorted((side * 0.58 * wide, side * (wide - 0.03)))
        parts.append(box((half - 0.16, inner, bonnet - 0.19), (half + 0.015, outer, bonnet - 0.06), HEADLAMP))
        parts.append(box((-half - 0.015, inner, belt - 0.26), (-half + 0.14, outer, belt - 0.11), TAIL_LAMP))
        inner, outer = sorted((side * (wide - 0.02), side * (wide + 0.11)))
        parts.append(box((mirror - 0.08, inner, belt), (mirror + 0.06, outer, belt + 0.14), paint))
    return parts
