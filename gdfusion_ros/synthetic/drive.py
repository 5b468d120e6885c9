"""A scene planned: the world, the sensors, and when each of them measures. All of it follows from the recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic import rig
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.rig import LIDAR, OFFSETS, Rig
from gdfusion_ros.synthetic.streets.build import build
from gdfusion_ros.synthetic.streets.density import CROWDED, ORDINARY
from gdfusion_ros.synthetic.world import World

MICROSECONDS = 1_000_000

_EPOCH = 1_600_000_000 * MICROSECONDS
_SCENE_SPACING = 3_600 * MICROSECONDS
_BEGIN = 100_000  # [us] of the first key frame after the scene's start
_PERIOD = (450_000, 550_000)  # [us] between two key frames
_SWEEP_RATE = {'camera': 12, 'lidar': 20}  # [Hz]


@dataclass(frozen=True)
class Shot:
    """One measurement: its ``stamp`` [us], absolute; the nearest key frame; whether it is part of that."""

    channel: str
    stamp: int
    frame: int
    key: bool


@dataclass(frozen=True, eq=False)
class Drive:
    """A scene. ``key_stamps`` (F,) [us], absolute, are those of LIDAR_TOP; ``start`` [us] is the world's time 0."""

    index: int
    recipe: Recipe
    world: World
    rig: Rig
    key_stamps: NDArray[np.int64]
    start: int

    @property
    def name(self) -> str:
        """nuScenes' kind of name, from scene-0001."""
        return f'scene-{self.index + 1:04d}'

    def time(self, stamp: int) -> float:
        """The world's time of an absolute stamp [s]."""
        return (stamp - self.start) / MICROSECONDS

    def ego_pose(self, stamp: int) -> Matrix:
        """(4, 4) ego frame -> world frame at an absolute stamp."""
        return rig.ego_pose(self.world.ego, self.time(stamp))

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """All measurements, channel by channel in time order."""
        return tuple(shot for channel in OFFSETS for shot in self._shots(channel))

    def _shots(self, channel: str) -> Iterator[Shot]:
        offset = OFFSETS[channel]
        sweeps = self.recipe.sweeps and (channel != LIDAR or self.recipe.lidar)
        rate = _SWEEP_RATE['lidar' if channel == LIDAR else 'camera']
        for frame, stamp in enumerate(self.key_stamps.tolist()):
            yield Shot(channel, stamp + offset, frame, key=True)
            if sweeps and frame + 1 < len(self.key_stamps):
                period = int(self.key_stamps[frame + 1]) - stamp
                parts = round(period * rate / MICROSECONDS)
                for part in range(1, parts):
                    yield Shot(channel, stamp + offset + period * part // parts, frame + (2 * part > parts), key=False)


def plan(recipe: Recipe, index: int) -> Drive:
    """Scene ``index``, from 0, of a recipe."""
    rng = np.random.default_rng(SeedSequence(recipe.seed, spawn_key=(index,)))
    periods = rng.integers(_PERIOD[0], _PERIOD[1], recipe.frames - 1, endpoint=True)
    key_times = _BEGIN + np.concatenate([[0], periods.cumsum()]).astype(np.int64)
    start = _EPOCH + index * _SCENE_SPACING
    duration = math.ceil(key_times[-1] / MICROSECONDS + 0.5)
    world = build(str(rng.choice(recipe.weather)), duration, CROWDED if recipe.crowded else ORDINARY, rng)
    return Drive(index, recipe, world, rig.build(recipe.width, recipe.height, rng), start + key_times, start)
