"""Pedestrians, bicycles and motorcycles, with and without riders."""

from __future__ import annotations

import itertools
import math

import numpy as np

from gdfusion_ros.synthetic.objects.materials import DARK, HEADLAMP, RUBBER, STEEL, TAIL_LAMP, assemble, pick
from gdfusion_ros.synthetic.objects.solids import Finish, Vector, Y, bar, box, cylinder, dome, ellipsoid, part, tapered
from gdfusion_ros.synthetic.world import Material, Model, Part

BICYCLE, MOTORCYCLE, PEDESTRIAN = 2, 6, 7

_SKIN = (0xF0C8A0, 0xD9A77C, 0xB07A50, 0x7A4E33, 0x52341F)
_HAIR = (0x1A1410, 0x3B2717, 0x6B4A2A, 0xB08A50, 0x8A8A88)
_TOPS = (0xC03030, 0x2A5CAA, 0xE8E8E4, 0x222428, 0x3F7A48, 0xE0B030, 0x7A3F80, 0xE07830, 0x5F8FC0, 0x8A6A50, 0xD890A8)
_TROUSERS = (0x26303F, 0x1B1C20, 0x4A5568, 0x7A6A50, 0x3F4A38, 0x8A8A86)
_PAINTS = (0xB02020, 0x202226, 0x1F4F9A, 0xE8E8E4, 0x2E7A4A, 0xD88A20)


def pedestrian(kind: str, rng: np.random.Generator) -> Model:
    """An adult or child, standing or walking, in clothes of all colours."""
    height = float(rng.uniform(1.58, 1.92)) if rng.random() < 0.85 else float(rng.uniform(1.05, 1.4))
    scale = height / 1.75
    stride = float(rng.uniform(0.0, 0.34)) * scale
    trousers, top = _cloth(rng, _TROUSERS), _cloth(rng, _TOPS)
    hip, shoulder = 0.86 * scale, 1.46 * scale
    skin: Finish = (Material.SKIN, pick(rng, _SKIN))
    parts = [*_head((0.0, 0.0, 1.60 * scale), scale, skin, rng)]
    for side in (-1, 1):
        foot = (side * stride, side * 0.11 * scale, 0.05)
        parts.append(bar(foot, (0.0, side * 0.10 * scale, hip), (0.17 * scale, 0.17 * scale), trousers))
        parts.append(box((foot[0] - 0.09, foot[1] - 0.06, 0.0), (foot[0] + 0.17, foot[1] + 0.06, 0.09), DARK))
        hand = (-side * 0.8 * stride, side * 0.29 * scale, 0.80 * scale)
        parts.append(bar(hand, (0.0, side * 0.24 * scale, shoulder - 0.05), (0.12 * scale, 0.12 * scale), top))
        parts.append(ellipsoid(hand, (0.06 * scale, 0.05 * scale, 0.08 * scale), skin))
    wide = float(rng.uniform(0.19, 0.24)) * scale
    parts += [
        part([(0, 0, -1, 0.06 - hip), (0, 0, 1, shoulder - 0.08)], top, radii=(0.14 * scale, wide, math.inf)),
        ellipsoid((0.0, 0.0, shoulder - 0.08), (0.15 * scale, 1.1 * wide, 0.12 * scale), top),
    ]
    parts.extend(_extras(scale, (hip, shoulder), top, rng))
    return assemble(kind, PEDESTRIAN, parts)


def bicycle(kind: str, rng: np.random.Generator) -> Model:
    """A bicycle; with its rider unless its kind says that it is parked."""
    paint: Finish = (Material.PAINT, pick(rng, _PAINTS))
    saddle, grip, crank = (-0.22, 0.0, 0.95), (0.42, 0.0, 1.05), (-0.05, 0.0, 0.32)
    parts = [*_ring((0.55, 0.34), 0.34), *_ring((-0.55, 0.34), 0.34)]
    for start, end in (
        (crank, (0.40, 0.0, 0.85)),
        (crank, saddle),
        ((-0.16, 0.0, 0.78), (0.40, 0.0, 0.85)),
        ((-0.55, 0.0, 0.34), (-0.16, 0.0, 0.78)),
        ((0.55, 0.0, 0.34), grip),
    ):
        parts.append(bar(start, end, (0.06, 0.06), paint))
    parts += [
        box((-0.36, -0.08, 0.93), (-0.08, 0.08, 1.0), DARK),
        box((0.36, -0.29, 1.03), (0.46, 0.29, 1.08), DARK),
        box((-0.66, -0.03, 0.72), (-0.58, 0.03, 0.80), TAIL_LAMP),
    ]
    if not kind.startswith('parked'):
        parts += _rider((-0.2, 0.98), (0.38, 1.05), (0.02, 0.3), 0.13, rng)
    return assemble(kind, BICYCLE, parts)


def motorcycle(kind: str, rng: np.random.Generator) -> Model:
    """A motorcycle or scooter; with its rider unless its kind says that it is parked."""
    paint: Finish = (Material.PAINT, pick(rng, _PAINTS))
    parts = [
        cylinder(Y, (0.72, 0.0, 0.31), 0.31, 0.16, RUBBER),
        cylinder(Y, (0.72, 0.0, 0.31), 0.18, 0.18, STEEL),
        cylinder(Y, (-0.68, 0.0, 0.31), 0.31, 0.2, RUBBER),
        cylinder(Y, (-0.68, 0.0, 0.31), 0.18, 0.22, STEEL),
        box((-0.35, -0.17, 0.28), (0.38, 0.17, 0.62), STEEL),
        box((-0.8, -0.12, 0.62), (-0.05, 0.12, 0.76), paint),
        ellipsoid((0.18, 0.0, 0.84), (0.36, 0.2, 0.17), paint),
        box((-0.68, -0.16, 0.76), (-0.02, 0.16, 0.86), DARK),
        bar((0.72, 0.0, 0.31), (0.46, 0.0, 1.02), (0.2, 0.09), STEEL),
        box((0.40, -0.38, 1.0), (0.48, 0.38, 1.06), DARK),
        tapered((0.46, 0.72, -0.2, 0.2), (0.40, 0.52, -0.14, 0.14), (0.72, 1.22), paint),
        box((0.66, -0.1, 0.8), (0.72, 0.1, 0.94), HEADLAMP),
        box((-0.88, -0.08, 0.7), (-0.78, 0.08, 0.8), TAIL_LAMP),
    ]
    if not kind.startswith('parked'):
        parts += _rider((-0.3, 0.86), (0.42, 1.05), (0.05, 0.42), 0.2, rng)
    return assemble(kind, MOTORCYCLE, parts)


def _cloth(rng: np.random.Generator, colors: tuple[int, ...]) -> Finish:
    return Material.CLOTH, pick(rng, colors, 0.25)


def _head(centre: Vector, scale: float, skin: Finish, rng: np.random.Generator) -> list[Part]:
    """A head on a neck, with hair or a cap."""
    x, y, z = centre
    cover = _cloth(rng, _HAIR if rng.random() < 0.75 else _TOPS)
    return [
        ellipsoid(centre, (0.105 * scale, 0.085 * scale, 0.13 * scale), skin),
        dome((x - 0.015, y, z + 0.015), (0.12 * scale, 0.1 * scale, 0.14 * scale), cover),
        cylinder(2, (x, y, z - 0.14 * scale), 0.055 * scale, 0.14 * scale, skin),
    ]


def _extras(scale: float, heights: tuple[float, float], top: Finish, rng: np.random.Generator) -> list[Part]:
    """A skirt or coat, a rucksack or a bag, or nothing."""
    hip, shoulder = heights
    parts = []
    if rng.random() < 0.3:
        hem = float(rng.uniform(0.3, 0.55)) * scale
        parts.append(
            tapered(
                (-0.2 * scale, 0.2 * scale, -0.23 * scale, 0.23 * scale),
                (-0.13 * scale, 0.13 * scale, -0.17 * scale, 0.17 * scale),
                (hem, hip + 0.05),
                top if rng.random() < 0.5 else _cloth(rng, _TOPS),
            )
        )
    choice = rng.random()
    if choice < 0.25:
        parts.append(
            box(
                (-0.3 * scale, -0.15 * scale, hip + 0.12),
                (-0.12 * scale, 0.15 * scale, shoulder - 0.03),
                _cloth(rng, _TOPS),
            )
        )
    elif choice < 0.45:
        parts.append(
            box(
                (-0.17 * scale, 0.26 * scale, 0.5 * scale),
                (0.17 * scale, 0.38 * scale, 0.8 * scale),
                _cloth(rng, _TOPS),
            )
        )
    return parts


def _ring(centre: tuple[float, float], radius: float, sides: int = 10) -> list[Part]:
    """A tyre of straight pieces, with two spokes."""
    x, z = centre
    angles = np.arange(sides + 1) * (2 * math.pi / sides)
    rim = [(x + 0.94 * radius * math.cos(angle), 0.0, z + 0.94 * radius * math.sin(angle)) for angle in angles]
    parts = [bar(start, end, (0.05, 0.05), RUBBER) for start, end in itertools.pairwise(rim)]
    return [
        *parts,
        bar(rim[1], rim[1 + sides // 2], (0.02, 0.02), STEEL),
        bar(rim[4], rim[(4 + sides // 2) % sides], (0.02, 0.02), STEEL),
    ]


def _rider(
    seat: tuple[float, float],
    grip: tuple[float, float],
    pedal: tuple[float, float],
    aside: float,
    rng: np.random.Generator,
) -> list[Part]:
    """A person on a seat who holds a handlebar; places are x and z."""
    trousers, top = _cloth(rng, _TROUSERS), _cloth(rng, _TOPS)
    shoulder = (seat[0] + 0.24, seat[1] + 0.52)
    parts = [
        bar((seat[0], 0.0, seat[1] - 0.05), (shoulder[0], 0.0, shoulder[1]), (0.40, 0.24), top),
        *_head((shoulder[0] + 0.08, 0.0, shoulder[1] + 0.19), 1.0, (Material.SKIN, pick(rng, _SKIN)), rng),
        dome((shoulder[0] + 0.07, 0.0, shoulder[1] + 0.21), (0.16, 0.13, 0.16), (Material.PAINT, pick(rng, _PAINTS))),
    ]
    for side in (-1, 1):
        y = side * aside
        knee = (seat[0] + 0.42, y, (seat[1] + pedal[1]) / 2 + 0.12 + side * 0.06)
        parts += [
            bar((seat[0], 0.7 * y, seat[1]), knee, (0.16, 0.17), trousers),
            bar(knee, (pedal[0], y, pedal[1] + side * 0.08), (0.13, 0.13), trousers),
            bar(
                (shoulder[0], side * 0.2, shoulder[1] - 0.06), (grip[0], side * 0.24, grip[1] + 0.03), (0.11, 0.11), top
            ),
        ]
    return parts
