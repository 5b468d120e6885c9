"""Trucks, buses, trailers and construction vehicles."""

from __future__ import annotations

import numpy as np

from gdfusion_ros.synthetic.objects.cars import wheels
from gdfusion_ros.synthetic.objects.materials import (
    AMBER_LAMP,
    DARK,
    GLASS,
    HEADLAMP,
    RUBBER,
    STEEL,
    TAIL_LAMP,
    WHITE_PLATE,
    assemble,
    linear,
    painted,
    pick,
    shade,
)
from gdfusion_ros.synthetic.objects.solids import (
    Finish,
    Rectangle,
    Vector,
    X,
    Y,
    bar,
    box,
    cylinder,
    dome,
    extruded,
    tapered,
)
from gdfusion_ros.synthetic.world import Material, Model, Part

BUS, CONSTRUCTION_VEHICLE, TRAILER, TRUCK = 3, 5, 9, 10

_CABS = (0xF0F0EE, 0xC02A2A, 0x1E4FA0, 0x2E6A46, 0x30343A, 0xD8B12A, 0x7C8288)
_LOADS = (0xF4F4F2, 0xE8E8E4, 0xD8DCE0, 0x2C5AA0, 0xB03030, 0xE0A020, 0x4A7A50)
_BUSES = (0xC8372D, 0xE9E9E4, 0x2F6FB5, 0x3F8F4F, 0xE3B02C, 0x6B3F8C)
_MACHINES = (0xE8A317, 0xF2B01E, 0xE07B1C, 0xEDBE2B)
_WOOD: Finish = (Material.WOOD, linear(0x8A6844))
_STRIPES: Finish = (Material.STRIPES, linear(0xC8241C))


def truck(kind: str, rng: np.random.Generator) -> Model:
    """A box truck, a truck with an open or loaded bed, or a pickup."""
    paint: Finish = (Material.PAINT, pick(rng, _CABS))
    style = rng.choice(('box', 'bed', 'pickup'), p=(0.5, 0.25, 0.25))
    if style == 'pickup':
        return assemble(kind, TRUCK, _pickup(rng, paint))
    length, width, height = (float(x) for x in rng.uniform((6.2, 2.3, 2.8), (9.0, 2.55, 3.6)))
    parts = [*_cab(length, width, min(height - 0.15, 2.75), paint), *_chassis(length, width)]
    rear, front = -length / 2 + 0.05, length / 2 - 2.1
    if style == 'box':
        parts += _cargo_box((rear, front, -width / 2, width / 2), (0.95, height), pick(rng, _LOADS))
    else:
        parts += _bed((rear, front, -width / 2, width / 2), float(rng.uniform(1.6, height - 0.3)), rng)
    return assemble(kind, TRUCK, parts)


def bus(kind: str, rng: np.random.Generator) -> Model:
    """A city bus with a band of windows, doors and a lit sign."""
    length, width, height = (float(x) for x in rng.uniform((9.5, 2.6, 3.1), (12.4, 2.95, 3.6)))
    color = pick(rng, _BUSES)
    paint, lower = (Material.PAINT, color), (Material.PAINT, shade(color, 0.55))
    half, wide = length / 2, width / 2
    parts = [
        box((-half, -wide, 0.32), (half, wide, height - 0.18), paint),
        tapered(
            (-half, half, -wide, wide),
            (-half + 0.25, half - 0.2, -wide + 0.2, wide - 0.2),
            (height - 0.18, height),
            painted(0xE4E4E2),
        ),
        box((-half + 0.35, -wide - 0.012, 1.25), (half - 0.1, wide + 0.012, 2.45), GLASS),
        box((-half - 0.008, -wide - 0.008, 0.3), (half + 0.008, wide + 0.008, 0.62), lower),
        box((half - 0.1, -wide + 0.08, 1.05), (half + 0.03, wide - 0.08, 2.55), GLASS),
        box((-half - 0.02, -wide + 0.3, 1.45), (-half + 0.1, wide - 0.3, 2.45), GLASS),
        box((half - 0.1, -0.75, 2.65), (half + 0.035, 0.75, 2.92), (Material.LAMP, linear(0xF0A030))),
        box((-half + 1.0, -0.8, height - 0.05), (-half + 3.6, 0.8, height + 0.18), painted(0xCFCFCB)),
    ]
    parts += [
        box((place - 0.06, -wide - 0.02, 1.22), (place + 0.06, wide + 0.02, 2.48), DARK)
        for place in np.arange(-half + 1.9, half - 1.2, 1.65)
    ]
    for place in (-0.08 * length, 0.40 * length):
        parts.append(box((place - 0.6, -wide - 0.03, 0.42), (place + 0.6, -wide + 0.1, 2.45), GLASS))
        parts.append(box((place - 0.04, -wide - 0.04, 0.42), (place + 0.04, -wide + 0.1, 2.45), DARK))
    return assemble(
        kind, BUS, [*parts, *_lamps(half, wide, 0.75), *wheels((0.24 * length, 0.77 * length), length, width, 0.49)]
    )


def trailer(kind: str, rng: np.random.Generator) -> Model:
    """A semi-trailer without its tractor: a box, a tank, or a flat bed with a container."""
    length, width, height = (float(x) for x in rng.uniform((9.5, 2.5, 3.6), (13.6, 2.9, 4.1)))
    half, wide = length / 2, width / 2
    parts = [
        box((-half, -0.5, 0.8), (half, 0.5, 1.12), DARK),
        *wheels((0.10 * length, 0.20 * length, 0.30 * length)[: int(rng.integers(2, 4))], length, width, 0.5),
        box((-half - 0.02, -wide, 0.62), (-half + 0.1, wide, 0.82), _STRIPES),
    ]
    for side in (-1.0, 1.0):
        leg = 0.24 * length
        parts.append(box((leg, side * 0.8 - 0.08, 0.0), (leg + 0.16, side * 0.8 + 0.08, 1.1), STEEL))
        inner, outer = sorted((side * (wide - 0.35), side * (wide - 0.05)))
        parts.append(box((-half - 0.03, inner, 0.66), (-half + 0.1, outer, 0.78), TAIL_LAMP))
    style = rng.choice(('box', 'tank', 'container'), p=(0.6, 0.15, 0.25))
    if style == 'tank':
        radius = wide - 0.05
        parts += [
            cylinder(X, (0.0, 0.0, 1.15 + radius), radius, length - 0.3, STEEL),
            box((-half + 1, -0.35, 1.2 + 2 * radius), (half - 1, 0.35, 1.3 + 2 * radius), DARK),
        ]
    else:
        rear = -half if style == 'box' else -half + float(rng.uniform(0.3, 1.5))
        parts += _cargo_box((rear, half, -wide, wide), (1.12, height), pick(rng, _LOADS), style == 'container')
    return assemble(kind, TRAILER, parts)


def construction_vehicle(kind: str, rng: np.random.Generator) -> Model:
    """An excavator, a dump truck, a roller or a wheel loader."""
    paint: Finish = (Material.PAINT, pick(rng, _MACHINES, 0.06))
    build = (_excavator, _dumper, _roller, _loader)[int(rng.integers(4))]
    return assemble(kind, CONSTRUCTION_VEHICLE, build(rng, paint))


def _lamps(half: float, wide: float, height: float) -> list[Part]:
    """Head and tail lamps at both ends."""
    parts = []
    for side in (-1, 1):
        inner, outer = sorted((side * (wide - 0.5), side * (wide - 0.1)))
        parts.append(box((half - 0.05, inner, height), (half + 0.035, outer, height + 0.18), HEADLAMP))
        parts.append(box((-half - 0.035, inner, height), (-half + 0.05, outer, height + 0.18), TAIL_LAMP))
    return parts


def _chassis(length: float, width: float) -> list[Part]:
    half = length / 2
    return [
        box((-half, -0.45 * width, 0.55), (half - 0.2, 0.45 * width, 0.95), DARK),
        box((-half - 0.02, -width / 2 + 0.05, 0.5), (-half + 0.1, width / 2 - 0.05, 0.68), _STRIPES),
        *_lamps(half, width / 2, 0.72),
        *wheels((0.22 * length, length - 1.2), length, width, 0.47),
    ]


def _cab(length: float, width: float, height: float, paint: Finish) -> list[Part]:
    """A cab over the engine at the front end."""
    front, rear, wide = length / 2, length / 2 - 1.95, width / 2 - 0.04
    outline = [(rear, 0.55), (front, 0.55), (front, 1.45), (front - 0.22, height), (rear, height)]
    lean = 0.22 / (height - 1.45)
    pane = front + 0.012
    glass = [
        (front - 0.3, 1.55),
        (pane - 0.1 * lean, 1.55),
        (pane - lean * (height - 1.65), height - 0.2),
        (front - 0.4, height - 0.2),
    ]
    return [
        extruded(outline, Y, (-wide, wide), paint),
        extruded(glass, Y, (-wide + 0.12, wide - 0.12), GLASS),
        box((rear + 0.75, -wide - 0.012, 1.5), (front - 0.45, wide + 0.012, height - 0.3), GLASS),
        box((front - 0.1, -wide + 0.25, 0.85), (front + 0.02, wide - 0.25, 1.25), DARK),
        box((front - 0.2, -wide - 0.01, 0.42), (front + 0.04, wide + 0.01, 0.68), DARK),
        box((front - 0.25, -wide - 0.22, 1.6), (front - 0.12, wide + 0.22, 2.05), DARK),
        box((front - 0.05, -0.3, 0.5), (front + 0.055, 0.3, 0.62), WHITE_PLATE),
    ]


def _cargo_box(base: Rectangle, heights: tuple[float, float], color: Vector, ribbed: bool = False) -> list[Part]:
    """A closed box with a dark frame, doors at its rear, and ribs if it is a container."""
    rear, front, right, left = base
    low, high = heights
    frame: Finish = (Material.METAL, shade(color, 0.45))
    parts = [
        box((rear, right, low), (front, left, high), (Material.PAINT, color)),
        box((rear - 0.012, right - 0.012, low), (front + 0.012, left + 0.012, low + 0.14), frame),
        box((rear - 0.012, right - 0.012, high - 0.08), (front + 0.012, left + 0.012, high + 0.01), frame),
    ]
    parts += [
        box((rear - 0.03, y - 0.025, low + 0.15), (rear + 0.1, y + 0.025, high - 0.1), frame)
        for y in (right + share * (left - right) for share in (0.3, 0.5, 0.7))
    ]
    if ribbed:
        rib: Finish = (Material.PAINT, shade(color, 0.8))
        parts += [
            box((x - 0.08, right - 0.03, low + 0.1), (x + 0.08, left + 0.03, high - 0.05), rib)
            for x in np.arange(rear + 0.6, front - 0.3, 1.2)
        ]
    return parts


def _bed(base: Rectangle, top: float, rng: np.random.Generator) -> list[Part]:
    """An open bed with boards and a load of boxes or earth."""
    rear, front, right, left = base
    board: Finish = _WOOD if rng.random() < 0.5 else (Material.PAINT, pick(rng, _CABS))
    parts = [
        box((rear, right, 0.95), (front, left, 1.5), board),
        box((front, right, 0.95), (front + 0.1, left, 2.2), DARK),
    ]
    if rng.random() < 0.5:
        parts.append(
            dome(
                ((rear + front) / 2, 0.0, 1.5),
                ((front - rear) * 0.46, (left - right) * 0.45, top - 1.2),
                (Material.BARK, linear(0x7B6650)),
            )
        )
        return parts
    place = rear + 0.2
    while place < front - 0.9:
        extent = float(rng.uniform(0.7, 1.3))
        parts.append(
            box(
                (place, right + 0.2, 1.5),
                (place + extent, left - 0.2, float(rng.uniform(1.7, top + 0.2))),
                (Material.WOOD, pick(rng, (0xB08A58, 0x9A7A50, 0xC0A070))),
            )
        )
        place += extent + 0.08
    return parts


def _pickup(rng: np.random.Generator, paint: Finish) -> list[Part]:
    length, width, height = (float(x) for x in rng.uniform((5.3, 1.95, 1.85), (5.9, 2.1, 2.0)))
    half, wide = length / 2, width / 2
    rear, front = -0.08 * length, 0.24 * length
    outline = [
        (-half, 0.45),
        (half - 0.1, 0.45),
        (half, 0.6),
        (half, 1.05),
        (half - 0.15, 1.12),
        (front, 1.2),
        (-half, 1.2),
    ]
    parts = [
        extruded(outline, Y, (-wide, wide), paint),
        tapered(
            (rear, front, -wide + 0.06, wide - 0.06),
            (rear + 0.1, front - 0.55, -wide + 0.2, wide - 0.2),
            (1.2, height - 0.07),
            GLASS,
        ),
        tapered(
            (rear + 0.08, front - 0.5, -wide + 0.19, wide - 0.19),
            (rear + 0.16, front - 0.66, -wide + 0.28, wide - 0.28),
            (height - 0.07, height),
            paint,
        ),
        tapered(
            (rear + 0.62, rear + 0.74, -wide + 0.048, wide - 0.048),
            (rear + 0.58, rear + 0.68, -wide + 0.188, wide - 0.188),
            (1.2, height - 0.07),
            paint,
        ),
        box((-half + 0.08, -wide + 0.1, 1.1), (rear - 0.05, wide - 0.1, 1.212), DARK),
        box((half - 0.1, -0.6 * wide, 0.75), (half + 0.02, 0.6 * wide, 1.0), DARK),
        box((half - 0.2, -wide, 0.42), (half + 0.04, wide, 0.62), DARK),
        box((-half - 0.04, -wide, 0.45), (-half + 0.2, wide, 0.62), STEEL),
    ]
    return [*parts, *_lamps(half, wide, 0.84), *wheels((0.2 * length, 0.8 * length), length, width, 0.4)]


def _tracks(length: float, wide: float) -> list[Part]:
    """Two crawler tracks."""
    parts = []
    for side in (-1, 1):
        right, left = sorted((side * wide, side * (wide - 0.55)))
        outline = [
            (-length / 2 + 0.3, 0.0),
            (length / 2 - 0.3, 0.0),
            (length / 2, 0.35),
            (length / 2 - 0.2, 0.75),
            (-length / 2 + 0.2, 0.75),
            (-length / 2, 0.35),
        ]
        parts.append(extruded(outline, Y, (right, left), RUBBER))
    return parts


def _operator_cab(x: float, y: float, base: float, paint: Finish) -> list[Part]:
    """A glazed cab with a roof and a beacon."""
    return [
        tapered(
            (x - 0.7, x + 0.7, y - 0.5, y + 0.5), (x - 0.62, x + 0.5, y - 0.45, y + 0.45), (base, base + 1.45), GLASS
        ),
        box((x - 0.75, y - 0.53, base), (x + 0.75, y + 0.53, base + 0.45), paint),
        box((x - 0.7, y - 0.52, base + 1.45), (x + 0.6, y + 0.52, base + 1.55), paint),
        box((x - 0.68, y - 0.52, base), (x - 0.56, y + 0.52, base + 1.45), paint),
        box((x - 0.5, y - 0.08, base + 1.55), (x - 0.35, y + 0.08, base + 1.72), AMBER_LAMP),
    ]


def _excavator(rng: np.random.Generator, paint: Finish) -> list[Part]:
    reach, lift = float(rng.uniform(2.4, 3.2)), float(rng.uniform(3.2, 4.0))
    elbow, wrist = (1.0 + 0.55 * reach, -0.35, lift), (1.0 + reach + 0.7, -0.35, 1.3)
    parts = [
        *_tracks(3.6, 1.3),
        box((-0.8, -0.7, 0.5), (0.8, 0.7, 1.0), DARK),
        extruded(
            [(-2.0, 1.0), (1.1, 1.0), (1.1, 1.75), (-0.2, 2.0), (-1.8, 2.0), (-2.0, 1.8)], Y, (-1.25, 1.25), paint
        ),
        box((-2.02, -1.0, 1.1), (-1.2, 1.0, 1.6), DARK),
        *_operator_cab(0.45, 0.72, 1.35, paint),
        bar((0.9, -0.35, 1.5), elbow, (0.4, 0.5), paint),
        bar(elbow, wrist, (0.32, 0.4), paint),
        bar((1.2, -0.35, 1.3), (elbow[0] - 0.1, -0.35, lift - 0.7), (0.15, 0.15), STEEL),
    ]
    x, y, z = wrist
    return [
        *parts,
        extruded(
            [(x - 0.5, z - 0.9), (x + 0.2, z - 1.0), (x + 0.4, z - 0.1), (x - 0.2, z + 0.1)],
            Y,
            (y - 0.5, y + 0.5),
            DARK,
        ),
    ]


def _dumper(rng: np.random.Generator, paint: Finish) -> list[Part]:
    length, width = float(rng.uniform(6.4, 7.6)), 2.75
    half = length / 2
    load = float(rng.uniform(0.3, 0.7))
    tray = [(-half, 1.7), (-half + 0.6, 1.35), (half - 2.3, 1.35), (half - 2.0, 2.9), (-half + 0.1, 2.6)]
    return [
        extruded(tray, Y, (-1.35, 1.35), paint),
        box((half - 2.1, -1.2, 2.85), (half - 0.4, 1.2, 3.0), paint),
        dome(
            ((-half + half - 2.2) / 2, 0.0, 2.55),
            ((length - 2.4) / 2, 1.2, load + 0.2),
            (Material.BARK, linear(0x8A7558)),
        ),
        box((-half + 0.4, -0.6, 0.7), (half - 0.3, 0.6, 1.4), DARK),
        box((half - 1.9, -1.3, 1.0), (half, 1.3, 1.7), paint),
        box((half - 0.1, -0.7, 1.05), (half + 0.02, 0.7, 1.6), DARK),
        *_operator_cab(half - 1.1, 0.6, 1.6, paint),
        *_lamps(half, 1.3, 1.2),
        *wheels((1.3, length - 1.3), length, width, 0.75),
    ]


def _roller(rng: np.random.Generator, paint: Finish) -> list[Part]:
    radius = float(rng.uniform(0.62, 0.75))
    return [
        cylinder(Y, (1.7, 0.0, radius), radius, 1.9, STEEL),
        cylinder(Y, (-1.5, 0.0, 0.72), 0.72, 1.9, RUBBER),
        box((0.2, -1.05, 0.75), (2.2, -0.97, 1.15), paint),
        box((0.2, 0.97, 0.75), (2.2, 1.05, 1.15), paint),
        extruded([(-2.4, 0.9), (0.5, 0.6), (0.5, 1.5), (-0.6, 1.65), (-2.4, 1.5)], Y, (-0.85, 0.85), paint),
        *_operator_cab(0.0, 0.0, 1.35, paint),
        box((-2.42, -0.6, 0.95), (-2.0, 0.6, 1.35), DARK),
    ]


def _loader(rng: np.random.Generator, paint: Finish) -> list[Part]:
    lift = float(rng.uniform(0.5, 1.4))
    scoop = [(2.5, lift - 0.4), (3.5, lift - 0.45), (2.9, lift + 0.7), (2.45, lift + 0.6)]
    arms = [bar((0.9, side, 1.7), (2.6, side, lift), (0.2, 0.3), paint) for side in (-0.6, 0.6)]
    return [
        extruded([(-3.0, 0.8), (0.2, 0.8), (0.2, 1.8), (-2.8, 1.7)], Y, (-0.9, 0.9), paint),
        box((0.0, -0.55, 0.7), (1.7, 0.55, 1.4), paint),
        extruded(scoop, Y, (-1.35, 1.35), DARK),
        *arms,
        *_operator_cab(-0.2, 0.0, 1.6, paint),
        box((-3.02, -0.7, 0.95), (-2.5, 0.7, 1.5), DARK),
        *wheels((1.0, 3.7), 5.6, 2.4, 0.75),
    ]
