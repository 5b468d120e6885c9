"""What pictures share: colours, fonts, text."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gdfusion_ros.names import printable
from gdfusion_ros.perception.labels import LabelSet
from gdfusion_ros.perception.types import Pixels

Color = tuple[int, int, int]

PAGE: Color = (255, 255, 255)
PANEL: Color = (241, 243, 246)
INK: Color = (28, 32, 38)
FAINT: Color = (128, 136, 146)
LINE: Color = (206, 211, 218)
WARNING: Color = (200, 16, 32)
EGO: Color = (252, 252, 252)

_LONGEST = 160  # characters of a line


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, ``size`` px high."""
    return ImageFont.load_default(size)


def text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    words: str,
    size: int = 16,
    fill: Color = INK,
    anchor: str = 'la',
) -> float:
    """Writes one line; returns the x at which it ends, for a line that starts at ``position``."""
    words = printable(words, _LONGEST)
    draw.text(position, words, fill=fill, font=font(size), anchor=anchor)
    return position[0] + draw.textlength(words, font=font(size))


def fitted(pixels: Pixels, width: int, height: int) -> Image.Image:
    """The image, as large as fits ``width`` x ``height`` [px], whatever its shape."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = max(round(scale * pixels.shape[1]), 1), max(round(scale * pixels.shape[0]), 1)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def palette(label_set: LabelSet) -> NDArray[np.float32]:
    """(256, 3) colours of the labels, 0..255, less glaring than the label set's own so that shading shows on them."""
    colors = np.full((256, 3), 128.0)
    for label in label_set.classes:
        colors[label.id] = label.color
    grey = colors @ (0.299, 0.587, 0.114)
    return np.asarray(0.78 * colors + 0.12 * grey[:, None] + 14, np.float32)
