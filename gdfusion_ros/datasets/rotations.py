"""The rotations of nuScenes' tables: quaternions w, x, y, z from a sensor or the vehicle, which other tools take
otherwise.

What another convention makes of them is a rotation, too, so that it is noticed only by where the cameras and the
vehicle would point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.poses import Quaternion

_UPRIGHT = 0.5
"""Cosine of the largest angle, 60 degrees, between the lower edge of a camera's image and the ground."""

_DOWN: Mapping[str, Callable[[float, float, float, float], float]] = {
    'in the order x, y, z, w': lambda x, y, z, w: -2 * (x * y + z * w),
    'the inverse, from the vehicle to the camera': lambda x, y, z, w: -2 * (y * z - w * x),
    'of cameras whose x points forward, and z up': lambda x, y, z, w: w * w + z * z - x * x - y * y,
}
"""What the rotations may be instead -> how far an image's lower edge then points down, from -1 to 1."""

_TILTED, _TIMES = math.radians(5), 4
"""Vehicles are tilted less than this, or not so many times less if the order of the numbers is another."""


def require_upright(path: Path, cameras: Iterable[tuple[str, Quaternion]]) -> None:
    """Make sure that the rotations of cameras are (x right, y down, z forward) -> the vehicle (x forward, z up).

    A camera may look down or hang upside down; several do not if all are upright by another convention.

    Args:
        path: The table.
        cameras: Channel and rotation (x, y, z, w), as it was understood; a channel may come several times.

    Raises:
        GdfusionError: the rotations are rather meant otherwise.
    """
    rotations = set(cameras)
    lying = sorted({name for name, (x, y, z, w) in rotations if -2 * (y * z + w * x) < _UPRIGHT})
    if not lying or len(lying) == 1 < len({name for name, _ in rotations}):
        return
    for meant, down in _DOWN.items():
        if all(down(*rotation) >= _UPRIGHT for _, rotation in rotations):
            raise GdfusionError(
                f'{path}: with these rotations the images of {", ".join(lying)} would lie on their side or upside '
                f'down, which they do not if they are {meant}; write w, x, y, z of the rotation from the camera '
                '(x right, y down, z forward) to the vehicle (x forward, y left, z up)'
            )


def require_level(path: Path, rotations: Iterable[Quaternion]) -> None:
    """Make sure that the vehicle's rotations (x, y, z, w) were not written in the order x, y, z, w.

    A vehicle that turns would be tilted then, and its true tilt is far less.

    Raises:
        GdfusionError: they rather were.
    """
    tilt = other = 0.0
    for x, y, _, w in rotations:
        if 1 - 2 * (w * w + x * x) < _UPRIGHT:
            return  # in that order no vehicle stands like this
        tilt, other = max(tilt, math.hypot(x, y)), max(other, math.hypot(w, x))
    if 2 * tilt > _TILTED and tilt > _TIMES * other:
        raise GdfusionError(
            f'{path}: with these rotations the vehicle would be tilted by up to {math.degrees(2 * tilt):.0f} degrees, '
            f'and only by {math.degrees(2 * other):.0f} if they are in the order x, y, z, w; write w, x, y, z'
        )
