"""What stands along a street: cones, barriers, lights, signs, fences, walls, benches, bins."""

from __future__ import annotations

import numpy as np

from gdfusion_ros.synthetic.objects.materials import (
    DARK,
    GALVANIZED,
    SIGNAL_ORANGE,
    STEEL,
    assemble,
    linear,
    painted,
    pick,
)
from gdfusion_ros.synthetic.objects.solids import Finish, X, Y, Z, box, cone, cylinder, extruded, tapered
from gdfusion_ros.synthetic.world import Material, Model

OTHERS, BARRIER, TRAFFIC_CONE, MANMADE = 0, 1, 8, 15

_SIGNS = (0x1F57A8, 0xC22B2B, 0x2A7A45, 0xE8E8E4, 0xE3B52A)
_BRICKS = (0xA8553A, 0x8A5F48, 0x9A9488)
_PLASTERS = (0x9A9488, 0xC2B8A0, 0xB0B0A8)
_BOARD: Finish = (Material.WOOD, linear(0x8A6238))


def traffic_cone(kind: str, rng: np.random.Generator) -> Model:
    """An orange cone with a white band, or a striped post on a foot."""
    height = float(rng.uniform(0.75, 1.1))
    foot: Finish = (Material.RUBBER, linear(0x2A2A2A))
    orange: Finish = (Material.STRIPES, SIGNAL_ORANGE)
    if rng.random() < 0.25:
        return assemble(
            kind,
            TRAFFIC_CONE,
            [box((-0.2, -0.2, 0.0), (0.2, 0.2, 0.07), foot), cylinder(Z, (0.0, 0.0, height / 2), 0.09, height, orange)],
        )
    return assemble(
        kind,
        TRAFFIC_CONE,
        [box((-0.2, -0.2, 0.0), (0.2, 0.2, 0.05), foot), cone((0.0, 0.0, 0.05), (0.17, 0.035), height - 0.05, orange)],
    )


def barrier(kind: str, rng: np.random.Generator) -> Model:
    """A striped board on feet, or a concrete or plastic barrier; it lies across x."""
    half = float(rng.uniform(1.0, 1.35))
    if rng.random() < 0.5:
        stripes: Finish = (Material.STRIPES, linear(0xC8201C) if rng.random() < 0.6 else SIGNAL_ORANGE)
        parts = [
            box((-0.05, -half, 0.72), (0.05, half, 1.0), stripes),
            box((-0.05, -half, 0.25), (0.05, half, 0.45), stripes),
        ]
        for side in (-0.8, 0.8):
            parts += [
                box((-0.06, side * half - 0.05, 0.0), (0.06, side * half + 0.05, 1.02), painted(0xE0E0DC)),
                box((-0.28, side * half - 0.12, 0.0), (0.28, side * half + 0.12, 0.1), DARK),
            ]
        return assemble(kind, BARRIER, parts)
    finish: Finish = (Material.PLASTER, pick(rng, (0xB4B2AA, 0xC4C0B4, 0x9A9890)))
    if rng.random() < 0.4:
        finish = (Material.STRIPES, linear(0xC8201C))
    return assemble(
        kind,
        BARRIER,
        [
            tapered((-0.3, 0.3, -half, half), (-0.15, 0.15, -half, half), (0.0, 0.35), finish),
            tapered((-0.15, 0.15, -half, half), (-0.1, 0.1, -half, half), (0.35, 0.95), finish),
        ],
    )


def street_light(kind: str, rng: np.random.Generator) -> Model:
    """A mast with an arm to its front and a lamp at its end."""
    height, reach = float(rng.uniform(6.0, 8.5)), float(rng.uniform(1.2, 2.2))
    return assemble(
        kind,
        MANMADE,
        [
            cylinder(Z, (0.0, 0.0, height / 2), 0.1, height, GALVANIZED),
            cylinder(Z, (0.0, 0.0, 0.5), 0.15, 1.0, GALVANIZED),
            box((-0.06, -0.05, height - 0.12), (reach, 0.05, height), GALVANIZED),
            box((reach - 0.3, -0.16, height - 0.16), (reach + 0.5, 0.16, height + 0.04), GALVANIZED),
            box(
                (reach - 0.2, -0.12, height - 0.22),
                (reach + 0.4, 0.12, height - 0.16),
                (Material.LAMP, linear(0xFFE2B0)),
            ),
        ],
    )


def traffic_light(kind: str, rng: np.random.Generator) -> Model:
    """A post with red, amber and green lamps to its front, one of them on."""
    lamps = ((0xD81818, 0x401010), (0xF0A010, 0x403010), (0x18C860, 0x103A1C))
    burning = int(rng.integers(3))
    parts = [cylinder(Z, (0.0, 0.0, 1.7), 0.08, 3.4, GALVANIZED), box((-0.14, -0.18, 2.45), (0.14, 0.18, 3.45), DARK)]
    for index, (bright, dull) in enumerate(lamps):
        finish: Finish = (Material.LAMP, linear(bright)) if index == burning else painted(dull)
        parts.append(cylinder(X, (0.1, 0.0, 3.27 - 0.31 * index), 0.11, 0.14, finish))
    return assemble(kind, MANMADE, parts)


def sign(kind: str, rng: np.random.Generator) -> Model:
    """A traffic sign on a post: round, square or an arrow board."""
    color, rim = painted(_SIGNS[int(rng.integers(len(_SIGNS)))]), painted(0xF0F0EC)
    height, style = float(rng.uniform(2.3, 3.0)), rng.integers(3)
    post = cylinder(Z, (0.0, 0.0, height / 2), 0.05, height, GALVANIZED)
    if style == 0:
        plates = [
            cylinder(X, (0.06, 0.0, height - 0.35), 0.34, 0.06, rim),
            cylinder(X, (0.07, 0.0, height - 0.35), 0.28, 0.07, color),
        ]
    elif style == 1:
        plates = [
            box((0.03, -0.33, height - 0.7), (0.09, 0.33, height), rim),
            box((0.04, -0.28, height - 0.65), (0.10, 0.28, height - 0.05), color),
        ]
    else:
        plates = [
            box((0.03, -0.9, height - 0.55), (0.09, 0.9, height), rim),
            box((0.04, -0.84, height - 0.49), (0.10, 0.84, height - 0.06), color),
            box((0.05, -0.6, height - 0.33), (0.11, 0.5, height - 0.23), rim),
        ]
    return assemble(kind, MANMADE, [post, *plates])


def fence(kind: str, rng: np.random.Generator) -> Model:
    """A section of fence along x: rails and posts, of wood or metal."""
    half, height = float(rng.uniform(1.5, 2.5)), float(rng.uniform(1.0, 1.5))
    finish = _BOARD if rng.random() < 0.5 else GALVANIZED
    parts = [
        box((-half, -0.03, rail - 0.06), (half, 0.03, rail + 0.06), finish) for rail in (0.3 * height, 0.9 * height)
    ]
    for place in np.linspace(-half, half, int(2 * half / 0.3) + 1):
        x = float(np.clip(place, -half + 0.04, half - 0.04))
        parts.append(box((x - 0.04, -0.05, 0.0), (x + 0.04, 0.05, height), finish))
    return assemble(kind, MANMADE, parts)


def wall(kind: str, rng: np.random.Generator) -> Model:
    """A section of brick or plaster wall along x with a coping."""
    half, height = float(rng.uniform(1.5, 3.5)), float(rng.uniform(1.0, 2.4))
    finish: Finish = (Material.PLASTER, pick(rng, _PLASTERS))
    if rng.random() < 0.6:
        finish = (Material.BRICK, pick(rng, _BRICKS))
    return assemble(
        kind,
        MANMADE,
        [
            box((-half, -0.15, 0.0), (half, 0.15, height - 0.08), finish),
            box((-half, -0.2, height - 0.08), (half, 0.2, height), (Material.PLASTER, linear(0xA8A49A))),
        ],
    )


def bench(kind: str, rng: np.random.Generator) -> Model:
    """A park bench that faces x."""
    half = float(rng.uniform(0.7, 0.95))
    parts = [box((-0.22, -half, 0.42), (0.24, half, 0.5), _BOARD), box((-0.3, -half, 0.55), (-0.22, half, 0.9), _BOARD)]
    parts += [box((-0.28, side * half - 0.05, 0.0), (0.2, side * half + 0.05, 0.44), DARK) for side in (-0.8, 0.8)]
    return assemble(kind, OTHERS, parts)


def bin_(kind: str, rng: np.random.Generator) -> Model:
    """A litter bin: a wheeled one with a lid, or a round one."""
    color = pick(rng, (0x2F5F3A, 0x33383E, 0x8A6A20, 0x27507A))
    finish: Finish = (Material.PAINT, color)
    if rng.random() < 0.5:
        height = float(rng.uniform(0.95, 1.15))
        return assemble(
            kind,
            OTHERS,
            [
                tapered((-0.24, 0.24, -0.22, 0.22), (-0.3, 0.3, -0.28, 0.28), (0.06, height - 0.1), finish),
                extruded(
                    [(-0.34, height - 0.1), (0.32, height - 0.1), (0.3, height - 0.03), (-0.34, height)],
                    Y,
                    (-0.3, 0.3),
                    DARK,
                ),
                box((-0.3, -0.25, 0.0), (-0.1, 0.25, 0.14), DARK),
            ],
        )
    height = float(rng.uniform(0.8, 1.0))
    return assemble(
        kind,
        OTHERS,
        [
            cylinder(Z, (0.0, 0.0, height / 2), 0.25, height, (Material.METAL, color)),
            cylinder(Z, (0.0, 0.0, height), 0.27, 0.08, STEEL),
        ],
    )
