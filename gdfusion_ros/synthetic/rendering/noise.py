"""Random numbers that depend on whole numbers alone, and smooth noise made of them, for compiled code."""

from __future__ import annotations

import math

import numpy as np

from gdfusion_ros.synthetic.rendering.compiled import inlined

_A, _B, _C, _D = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
    np.uint64(0x165667B19E3779F9),
    np.uint64(0xD6E8FEB86659FD93),
)
_E = np.uint64(0xFF51AFD7ED558CCD)
_HALF, _TOP = np.uint64(32), np.uint64(40)
_UNIT = 1.0 / (1 << 24)


@inlined
def uniform(i: int, j: int, k: int, seed: int) -> float:
    """A number in 0..1 for every four whole numbers."""
    mixed = np.uint64(i) * _A ^ np.uint64(j) * _B ^ np.uint64(k) * _C ^ np.uint64(seed) * _D
    mixed = (mixed ^ (mixed >> _HALF)) * _E
    mixed = (mixed ^ (mixed >> _HALF)) * _A
    return float(mixed >> _TOP) * _UNIT


@inlined
def _ease(x: float) -> float:
    return x * x * (3 - 2 * x)


@inlined
def noise2(x: float, y: float, seed: int) -> float:
    """Smooth noise in the plane, -1..1, with bumps about 1 wide."""
    i, j = math.floor(x), math.floor(y)
    u, v = _ease(x - i), _ease(y - j)
    low = uniform(i, j, 0, seed) * (1 - u) + uniform(i + 1, j, 0, seed) * u
    high = uniform(i, j + 1, 0, seed) * (1 - u) + uniform(i + 1, j + 1, 0, seed) * u
    return 2 * (low * (1 - v) + high * v) - 1


@inlined
def noise3(x: float, y: float, z: float, seed: int) -> float:
    """Smooth noise in space, -1..1, with bumps about 1 wide."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = _ease(x - i), _ease(y - j), _ease(z - k)
    low = (uniform(i, j, k, seed) * (1 - u) + uniform(i + 1, j, k, seed) * u) * (1 - v) + (
        uniform(i, j + 1, k, seed) * (1 - u) + uniform(i + 1, j + 1, k, seed) * u
    ) * v
    high = (uniform(i, j, k + 1, seed) * (1 - u) + uniform(i + 1, j, k + 1, seed) * u) * (1 - v) + (
        uniform(i, j + 1, k + 1, seed) * (1 - u) + uniform(i + 1, j + 1, k + 1, seed) * u
    ) * v
    return 2 * (low * (1 - w) + high * w) - 1
