"""From light to pixels: exposure, darker corners, the tone curve, the sensor's noise."""

from __future__ import annotations

import math

import numpy as np

from gdfusion_ros.perception.types import Pixels
from gdfusion_ros.synthetic.rendering.compiled import inlined, kernel
from gdfusion_ros.synthetic.rendering.noise import uniform
from gdfusion_ros.synthetic.rendering.reflectance import Colors
from gdfusion_ros.synthetic.weather import Weather

_VIGNETTE = 0.22


def develop(light: Colors, weather: Weather, seed: int) -> Pixels:
    """(h, w, 3) uint8 sRGB of linear light (h, w, 3); ``seed`` chooses the noise."""
    pixels = np.empty(light.shape, np.uint8)
    _develop(light, weather.exposure, weather.noise, seed, pixels)
    return pixels


@kernel
def _develop(light: Colors, exposure: float, noise: float, seed: int, pixels: Pixels) -> None:
    height, width = light.shape[:2]
    for row in range(height):
        for column in range(width):
            x, y = (2 * column + 1) / width - 1, (2 * row + 1) / width - height / width
            bright = exposure * (1 - _VIGNETTE * (x * x + y * y))
            for channel in range(3):
                value = _tone(bright * light[row, column, channel])
                first = uniform(row, column, channel, seed)
                second = uniform(row, column, channel, seed + 1)
                value += noise * 1.7 * (first + second - 1) * (0.6 + value) / (0.35 + value)
                pixels[row, column, channel] = np.uint8(min(max(255 * value + 0.5, 0.0), 255.0))


@inlined
def _tone(light: float) -> float:
    """The sRGB curve with soft highlights: linear light -> 0..1."""
    if light > 0.6:
        light = 0.6 + 0.4 * (1 - math.exp(-(light - 0.6) / 0.4))
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
