"""Colours and surfaces that the catalogue's objects share, and how a model is put together from parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdfusion_ros.synthetic.objects.solids import Finish, Vector, bounds
from gdfusion_ros.synthetic.world import Material, Model, Part


def linear(code: int) -> Vector:
    """Linear RGB, 0..1, of a colour written as on the web, 0xRRGGBB."""
    encoded = ((code >> shift & 255) / 255 for shift in (16, 8, 0))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in encoded)
    return red, green, blue


GLASS: Finish = (Material.GLASS, linear(0x30393F))
RUBBER: Finish = (Material.RUBBER, linear(0x2B2B2C))
DARK: Finish = (Material.PAINT, linear(0x303236))
STEEL: Finish = (Material.METAL, linear(0x9A9EA3))
GALVANIZED: Finish = (Material.METAL, linear(0x7F8588))
WHITE_PLATE: Finish = (Material.PAINT, linear(0xE6E6E0))
HEADLAMP: Finish = (Material.LAMP, linear(0xFFF6E0))
TAIL_LAMP: Finish = (Material.LAMP, linear(0xC01010))
AMBER_LAMP: Finish = (Material.LAMP, linear(0xFF9010))
SIGNAL_ORANGE = linear(0xF2671A)


def painted(code: int) -> Finish:
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
    shift = -(lower + upper) / 2
    shift[2] = 0.0
    size = (float(upper[0] - lower[0]), float(upper[1] - lower[1]), float(upper[2]))
    return Model(kind, label, size, tuple(_moved(part, shift) for part in parts))


def _moved(part: Part, shift: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Part:
    planes = part.planes.copy()
    planes[:, 3] += planes[:, :3] @ shift
    return Part(planes, part.centre + shift, part.radii, part.material, part.color)
