"""What a synthetic dataset follows from, and the file in it that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.renamed import current
from gdfusion_ros.synthetic.weather import WEATHER

FILE = 'recipe.json'

SMALLEST, LARGEST = 32, 4096
"""Bounds of the images' width and height [px]."""


@dataclass(frozen=True)
class Recipe:
    """All that a dataset follows from.

    Scene k depends on ``seed``, k and the fields after ``scenes``, not on how many scenes there are.

    Attributes:
        seed: Where every choice comes from.
        scenes: How many.
        frames: Key frames of each.
        width, height: Of the images [px].
        sweeps: Whether there are measurements between the key frames.
        lidar: Whether LiDAR points are written.
        weather: Names of the kinds of weather that a scene may have.
        crowded: Whether the streets are full of what is rare on an ordinary day.
    """

    seed: int
    scenes: int
    frames: int
    width: int
    height: int
    sweeps: bool
    lidar: bool
    weather: tuple[str, ...]
    crowded: bool = False


def check(recipe: Recipe) -> None:
    """Make sure that a recipe can be followed.

    Raises:
        GdfusionError: it cannot.
    """
    for name, low, high in (
        ('seed', 0, 2**63),
        ('scenes', 1, 9999),
        ('frames', 1, 5000),
        ('width', SMALLEST, LARGEST),
        ('height', SMALLEST, LARGEST),
    ):
        if not low <= getattr(recipe, name) <= high:
            raise GdfusionError(f'{name} {getattr(recipe, name)}: expected {low} to {high}')
    unknown = [weather for weather in recipe.weather if weather not in WEATHER]
    if unknown or not recipe.weather:
        raise GdfusionError(f'no weather {", ".join(unknown) or "given"}; there are {", ".join(WEATHER)}')


def write(root: Path, recipe: Recipe) -> None:
    """Write the file into a dataset's folder."""
    (root / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(recipe)) + b'\n')


def read(root: Path) -> Recipe:
    """What the dataset in a folder follows from.

    Raises:
        GdfusionError: there is no such file, or no recipe in it.
    """
    path = root / FILE
    try:
        fields = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        recipe = msgspec.convert(current(fields), Recipe)
    except OSError as error:
        raise GdfusionError(
            f'{path} cannot be read: {error.strerror}; only a dataset made by gdfusion synthesize has it'
        ) from error
    except msgspec.DecodeError as error:
        raise GdfusionError(f'{path} is no recipe: {error}') from error
    check(recipe)
    return recipe
