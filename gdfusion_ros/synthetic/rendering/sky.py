"""The sky of some weather, for compiled code: its colour in every direction, and what glossy surfaces mirror of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gdfusion_ros.synthetic.objects.solids import Floats
from gdfusion_ros.synthetic.rendering.compiled import inlined
from gdfusion_ros.synthetic.rendering.noise import noise2
from gdfusion_ros.synthetic.weather import Weather


class Light(NamedTuple):
    """The light of a weather and the lamps near the camera; the first fields are as in Weather.

    Attributes:
        lamps: (k, 10) place x, y, z, direction x, y, z, cosine of the opening half-angle, red, green, blue.
        seed: of the clouds.
    """

    sun_direction: Floats
    sun: Floats
    zenith: Floats
    horizon: Floats
    clouds: float
    haze: float
    glow: float
    lamps: Floats
    seed: int


def light_of(weather: Weather, lamps: Floats, seed: int) -> Light:
    """The light of some weather with ``lamps`` (k, 10)."""
    return Light(
        np.array(weather.sun_direction),
        np.array(weather.sun),
        np.array(weather.zenith),
        np.array(weather.horizon),
        weather.clouds,
        weather.haze,
        weather.lamps,
        lamps,
        seed,
    )


@inlined
def mixed(first: Any, second: Any, share: float) -> tuple[float, float, float]:
    """The first colour with a share of the second."""
    return (
        first[0] + share * (second[0] - first[0]),
        first[1] + share * (second[1] - first[1]),
        first[2] + share * (second[2] - first[2]),
    )


@inlined
def added(first: Any, second: Any, factor: float) -> tuple[float, float, float]:
    """The first colour plus the second times a factor."""
    return first[0] + factor * second[0], first[1] + factor * second[1], first[2] + factor * second[2]


@inlined
def clear_sky(light: Light, direction: Any) -> tuple[float, float, float]:
    """The sky without clouds in a direction; below the horizon it is as at the horizon."""
    up = max(direction[2], 0.0)
    color = mixed(light.horizon, light.zenith, math.sqrt(up))
    sun = direction[0] * light.sun_direction[0] + direction[1] * light.sun_direction[1] + up * light.sun_direction[2]
    if sun > 0.8:
        color = added(color, light.sun, 0.30 * ((sun - 0.8) / 0.2) ** 3 + (3.0 if sun > 0.9996 else 0.0))
    return color


@inlined
def clouded_sky(light: Light, direction: Any) -> tuple[float, float, float]:
    """The sky with its clouds in a direction."""
    color, up = clear_sky(light, direction), direction[2]
    if up < 0.01:
        return color
    x, y = direction[0] / (up + 0.25), direction[1] / (up + 0.25)
    cover = (
        0.60 * noise2(1.9 * x, 1.9 * y, light.seed)
        + 0.28 * noise2(4.3 * x, 4.3 * y, light.seed + 1)
        + 0.12 * noise2(11 * x, 11 * y, light.seed + 2)
    )
    cover = min(max(1.7 * (cover + 2 * light.clouds - 1.0) + 0.4, 0.0), 1.0) * min(1.0, 5 * up)
    white = 0.9 * light.horizon[1] + 0.45 * light.sun[1]
    tuft = 1 + 0.16 * noise2(2.6 * x + 9, 2.6 * y, light.seed + 3)
    grey = (
        tuft * (0.35 * light.horizon[0] + 0.65 * white),
        tuft * (0.35 * light.horizon[1] + 0.65 * white),
        tuft * (0.35 * light.horizon[2] + 0.65 * white),
    )
    return mixed(color, grey, 0.85 * cover)


@inlined
def mirrored_sky(light: Light, direction: Any, lit: bool) -> tuple[float, float, float]:
    """What a glossy surface mirrors in a direction: the sky above, dark houses and ground below, the sun's spot."""
    above = 0.30 + 0.70 * min(max(direction[2] + 0.03, 0.0) / 0.22, 1.0)
    color = mixed((0.0, 0.0, 0.0), clear_sky(light, direction), above)
    if lit:
        sun = (
            direction[0] * light.sun_direction[0]
            + direction[1] * light.sun_direction[1]
            + direction[2] * light.sun_direction[2]
        )
        if sun > 0.9:
            color = added(color, light.sun, 14 * ((sun - 0.9) / 0.1) ** 8)
    return color
