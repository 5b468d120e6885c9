"""Colours and surfaces that the catalogue's things share, and how a model is put together from parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdfusion_ros.synthetic.things.solids import Look, Vector, bounds
from gdfusion_ros.synthetic.world import Material, Model, Part


def linear(code: int) -> Vector:
    """Linear RGB, 0..1, of a colour written as on the web, 0xRRGGBB."""
    encoded = ((code >> shift & 255) / 255 for shift in (16, 8, 0))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in encoded)
    return red, green, blue


GLASS: Look = (Material.GLASS, linear(0x30393F))
RUBBER: Look = (Material.RUBBER, linear(0x2B2B2C))
DARK: Look = (Material.PAINT, linear(0x303236))
STEEL: Look = (Material.METAL, linear(0x9A9EA3))
GALVANIZED: Look = (Material.METAL, linear(0x7F8588))
WHITE_PLATE: Look = (Material.PAINT, linear(0xE6E6E0))
HEADLAMP: Look = (Material.LAMP, linear(0xFFF6E0))
TAIL_LAMP: Look = (Material.LAMP, linear(0xC01010))
AMBER_LAMP: Look = (Material.LAMP, linear(0xFF9010))
SIGNAL_ORANGE = linear(0xF2671A)


def painted(code: int) -> Look:
    """Glossy paint of a colour."""
    return Material.PAINT, linear(code)


def pick(rng: np.random.Generator, colors: Sequence[int], spread: float = 0.12) -> Vector:
    """One of the colours, a little darker or lighter."""
    color = linear(colors[rng.integers(len(colors))])
    return shade(color, float(rng.uniform(1 - spread, 1 + spread)))


def shade(color: Vector, factor: float) -> Vector:
    """A colour made darker or lighter, within 0..1."""
    red, green, blue = (min(1.0, channel * factor) for channel in color)
    return red, green, blue


def assemble(kind: str, label: int, parts: Sequence[Part]) -> Model:
    """A model of parts, moved along the ground so that the box round them is centred on its origin."""
    boxes = np.array([bounds(part) for part in parts])
    lower, upper = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    way = -(lower + upper) / 2
    way[2] = 0.0
    size = (float(upper[0] - lower[0]), float(upper[1] - lower[1]), float(upper[2]))
    return Model(kind, label, size, tuple(_moved(part, way) for part in parts))


def _moved(part: Part, way: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Part:
    planes = part.planes.copy()
    planes[:, 3] += planes[:, :3] @ way
    return Part(planes, part.centre + way, part.radii, part.material, part.color)
