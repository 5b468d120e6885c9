"""Trees, bushes, hedges and heaps of earth."""

from __future__ import annotations

import math

import numpy as np

from gdfusion_ros.synthetic.objects.materials import assemble, linear, pick, shade
from gdfusion_ros.synthetic.objects.solids import Finish, Vector, Z, bar, box, cone, cylinder, dome, ellipsoid
from gdfusion_ros.synthetic.world import Material, Model, Part

TERRAIN, VEGETATION = 14, 16

_LEAVES = (0x4F7A2E, 0x3F6B2A, 0x5E8C36, 0x6F9440, 0x35602C, 0x7F8F3A)
_NEEDLES = (0x2C5230, 0x274A33, 0x365C34)
_AUTUMN = (0xA8762A, 0x9A5A24, 0xB0902E)
_BARK = (0x5A4635, 0x6E5A48, 0x4A3B30, 0x8A8378)


def tree(kind: str, rng: np.random.Generator) -> Model:
    """A broad-leaved tree, or less often a conifer or a slim poplar."""
    bark: Finish = (Material.BARK, pick(rng, _BARK))
    style = rng.choice(('broad', 'conifer', 'slim'), p=(0.7, 0.15, 0.15))
    if style == 'conifer':
        return assemble(kind, VEGETATION, _conifer(rng, bark))
    height = float(rng.uniform(5.0, 9.5))
    wide = float(rng.uniform(1.5, 2.7)) if style == 'broad' else float(rng.uniform(0.8, 1.1))
    foot = float(rng.uniform(1.9, 2.8)) if style == 'broad' else 0.9
    color = pick(rng, _AUTUMN if rng.random() < 0.08 else _LEAVES)
    girth = float(rng.uniform(0.13, 0.24))
    trunk = cylinder(Z, (0.0, 0.0, foot / 2 + 0.3), girth, foot + 0.6, bark)
    crown = (foot + height) / 2
    branches = (
        [
            bar((0.0, 0.0, foot - 0.3), (x * wide * 0.5, y * wide * 0.5, crown), (girth, girth), bark)
            for x, y in ((1.0, 0.2), (-0.6, 0.8), (-0.3, -0.9))
        ]
        if style == 'broad'
        else []
    )
    leaves = _leaves((0.0, 0.0, crown), (wide, wide, (height - foot) / 2), color, rng)
    return assemble(kind, VEGETATION, [trunk, *branches, *leaves])


def bush(kind: str, rng: np.random.Generator) -> Model:
    """A bush of several rounded tufts."""
    wide, height = float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.7, 1.7))
    radii = (wide, wide, 0.55 * height)
    return assemble(kind, VEGETATION, _leaves((0.0, 0.0, 0.45 * height), radii, pick(rng, _LEAVES), rng, count=9))


def hedge(kind: str, rng: np.random.Generator) -> Model:
    """A trimmed hedge."""
    length, width, height = (float(x) for x in rng.uniform((3.0, 0.7, 0.9), (6.0, 1.1, 1.7)))
    color = pick(rng, _LEAVES)
    parts = [box((-length / 2, -width / 2, 0.0), (length / 2, width / 2, height), (Material.FOLIAGE, color))]
    for place in np.arange(-length / 2 + 0.4, length / 2 - 0.3, 0.8):
        radii = (0.45, width / 2 + 0.03, float(rng.uniform(0.15, 0.3)))
        finish = (Material.FOLIAGE, shade(color, float(rng.uniform(0.9, 1.15))))
        parts.append(ellipsoid((float(place), 0.0, height - 0.1), radii, finish))
    return assemble(kind, VEGETATION, parts)


def mound(kind: str, rng: np.random.Generator) -> Model:
    """A low heap of earth or a grassy bank."""
    length, width, height = (float(x) for x in rng.uniform((2.5, 2.0, 0.5), (6.0, 4.0, 1.5)))
    color = linear(0x7A6448) if rng.random() < 0.4 else linear(0x5F7A3A)
    material = Material.BARK if color == linear(0x7A6448) else Material.FOLIAGE
    parts = [dome((0.0, 0.0, 0.0), (length / 2, width / 2, height), (material, color))]
    for _ in range(2):
        x, y = (float(side) for side in rng.uniform(-0.25, 0.25, 2))
        parts.append(
            dome(
                (x * length, y * width, 0.0),
                (length / 4, width / 4, height * float(rng.uniform(0.8, 1.15))),
                (material, shade(color, 0.9)),
            )
        )
    return assemble(kind, TERRAIN, parts)


def _leaves(centre: Vector, radii: Vector, color: Vector, rng: np.random.Generator, count: int = 16) -> list[Part]:
    """A crown: one ball in the middle, and smaller ones spread over it evenly."""
    golden = math.pi * (3 - math.sqrt(5))
    turn = float(rng.uniform(0, 2 * math.pi))
    inner: Finish = (Material.FOLIAGE, shade(color, 0.8))
    parts = [ellipsoid(centre, (0.72 * radii[0], 0.72 * radii[1], 0.8 * radii[2]), inner)]
    for index in range(count):
        up = 1 - 2 * (index + 0.5) / count
        around = math.sqrt(1 - up * up)
        spread = float(rng.uniform(0.54, 0.68))
        place = (
            centre[0] + spread * radii[0] * around * math.cos(turn + golden * index),
            centre[1] + spread * radii[1] * around * math.sin(turn + golden * index),
            centre[2] + spread * radii[2] * up,
        )
        size = float(rng.uniform(0.30, 0.44))
        bounded = min(size * radii[2], place[2])
        parts.append(
            ellipsoid(
                place,
                (size * radii[0], size * radii[1], bounded),
                (Material.FOLIAGE, shade(color, float(rng.uniform(0.85, 1.2)) + 0.12 * up)),
            )
        )
    return parts


def _conifer(rng: np.random.Generator, bark: Finish) -> list[Part]:
    height, wide = float(rng.uniform(5.0, 9.0)), float(rng.uniform(1.2, 1.9))
    color = pick(rng, _NEEDLES)
    parts = [cylinder(Z, (0.0, 0.0, 0.6), 0.16, 1.2, bark)]
    for level in range(4):
        base = 0.7 + level * (height - 0.7) / 4.6
        radius = wide * (1 - level / 4.8)
        parts.append(
            cone(
                (0.0, 0.0, base),
                (radius, 0.05),
                (height - 0.7) / 2.6,
                (Material.FOLIAGE, shade(color, float(rng.uniform(0.9, 1.15)))),
                sides=9,
            )
        )
    return parts
