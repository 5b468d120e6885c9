"""Who is on the move round the vehicle that films, and that vehicle itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.streets.density import Density
from gdfusion_ros.synthetic.streets.lanes import Lane
from gdfusion_ros.synthetic.streets.paths import Points
from gdfusion_ros.synthetic.streets.traffic import Mover, plan_route, simulate, trajectory
from gdfusion_ros.synthetic.world import Model, Trajectory, WorldObject

REAR_AXLE = 1.25  # [m] behind the middle of the vehicle that films

_EGO_LENGTH = 4.1
_FASTEST = 13.0  # [m/s]
_AROUND = 75.0  # [m] from the way that is filmed
_HITCH = 0.9  # [m] between a truck and its trailer


@dataclass(frozen=True)
class Driver:
    """How a kind moves: wanted speed [m/s], acceleration [m/s2], place in the lane [m]."""

    speed: tuple[float, float]
    acceleration: float
    side: tuple[float, float]


DRIVERS = {
    'car': Driver((8.5, 13.0), 2.2, (-0.15, 0.15)),
    'truck': Driver((8.0, 11.0), 1.4, (-0.1, 0.1)),
    'road_train': Driver((8.0, 10.0), 1.1, (-0.05, 0.05)),
    'bus': Driver((8.0, 11.0), 1.3, (-0.05, 0.05)),
    'motorcycle': Driver((9.0, 13.0), 2.8, (-0.5, 0.5)),
    'bicycle': Driver((4.0, 6.5), 1.0, (-1.1, -0.7)),
}
"""Who drives."""

Crowd = list[tuple[Mover, tuple[Model, ...]]]
"""Who moves, and the models that it consists of from front to rear."""

WALKER = Driver((1.0, 1.9), 1.0, (-0.6, -0.3))


@dataclass(frozen=True, eq=False)
class Population:
    """What moves: the objects, the way of the vehicle that films (the ego frame), and its lanes' points (n, 2)."""

    objects: tuple[WorldObject, ...]
    ego: Trajectory
    way: Points


def populate(lanes: Sequence[Lane], duration: float, density: Density, rng: Generator) -> Population:
    """Traffic for ``duration`` seconds round a vehicle that drives a way by chance."""
    streets = [
        index for index, lane in enumerate(lanes) if not lane.walk and not lane.crossing and lane.path.length > 40
    ]
    ego = Mover(
        _EGO_LENGTH,
        float(rng.uniform(9.5, _FASTEST)),
        1.9,
        0.0,
        [int(rng.choice(streets))],
        float(rng.uniform(4, 25)),
        turns=2.0,
    )
    plan_route(lanes, ego, 0.6 * _FASTEST * (duration + 8.0), rng)
    way = np.vstack([lanes[index].path.at(np.arange(0.0, lanes[index].path.length, 5.0)) for index in ego.route])
    crowd: Crowd = [(ego, ()), *_vehicles(lanes, way, ego, density, rng), *_walkers(lanes, way, density, rng)]
    simulate(lanes, [mover for mover, _ in crowd], duration, rng)
    objects = tuple(item for mover, models in crowd for item in _things(lanes, mover, models))
    driven = trajectory(lanes, ego)
    heading = np.column_stack([np.cos(driven.poses[:, 2]), np.sin(driven.poses[:, 2]), np.zeros(len(driven.poses))])
    return Population(objects, Trajectory(driven.times, driven.poses - REAR_AXLE * heading), driven.poses[::5, :2])


def _things(lanes: Sequence[Lane], mover: Mover, models: Sequence[Model]) -> list[WorldObject]:
    """A mover's models, one behind the other from its front to its rear."""
    objects, front = [], -mover.length / 2
    for model in models:
        objects.append(WorldObject(model, trajectory(lanes, mover, front + model.size[0] / 2, model.size[0])))
        front += model.size[0] + _HITCH
    return objects


def _vehicles(lanes: Sequence[Lane], way: Points, ego: Mover, density: Density, rng: Generator) -> Crowd:
    """Vehicles on the lanes round the way, spaced by chance."""
    spacing = float(rng.uniform(*density.vehicle_spacing))
    found: Crowd = []
    kinds, shares = list(density.traffic), list(density.traffic.values())
    for index, lane in enumerate(lanes):
        if lane.walk or lane.crossing or not _near(lane, way):
            continue
        front = 1.5
        while True:
            kind = str(rng.choice(kinds, p=shares))
            models = tuple(
                catalogue.make(part, rng) for part in (('truck', 'trailer') if kind == 'road_train' else (kind,))
            )
            length = sum(model.size[0] for model in models) + _HITCH * (len(models) - 1)
            station = front + length / 2 + 4.0 * rng.random()
            front = station + length / 2 + 3.0 + float(rng.exponential(spacing))
            if station + length / 2 + 1.0 > lane.path.length:
                break
            if index != ego.route[0] or abs(station - ego.station) > (length + ego.length) / 2 + 3:
                found.append((_mover(DRIVERS[kind], length, index, station, rng), models))
    return found


def _walkers(lanes: Sequence[Lane], way: Points, density: Density, rng: Generator) -> Crowd:
    """People on the sidewalks round the way."""
    spacing = float(rng.uniform(*density.walker_spacing))
    found: Crowd = []
    for index, lane in enumerate(lanes):
        if not lane.walk or lane.crossing or not _near(lane, way):
            continue
        station = float(rng.exponential(spacing))
        while station < lane.path.length - 0.5:
            model = catalogue.make('pedestrian', rng)
            length = max(model.size[:2])
            found.append((_mover(WALKER, length, index, max(station, 0.5), rng), (model,)))
            station += 1.5 + float(rng.exponential(spacing))
    return found


def _mover(driver: Driver, length: float, lane: int, station: float, rng: Generator) -> Mover:
    return Mover(
        length,
        float(rng.uniform(*driver.speed)),
        driver.acceleration,
        float(rng.uniform(*driver.side)),
        [lane],
        station,
    )


def _near(lane: Lane, way: Points) -> bool:
    ends = lane.path.at(np.linspace(0.0, lane.path.length, max(math.ceil(lane.path.length / 30), 2)))
    return bool(np.linalg.norm(ends[:, None] - way[None], axis=-1).min() < _AROUND)
