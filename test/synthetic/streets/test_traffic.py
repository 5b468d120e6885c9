"""Traffic keeps apart, goes and stops."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from gdfusion_ros.synthetic import drive
from gdfusion_ros.synthetic.drive import Drive
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.streets.lanes import Lane
from gdfusion_ros.synthetic.streets.paths import Points, line, rectangle
from gdfusion_ros.synthetic.streets.traffic import STEP, WARM_UP, Mover, simulate, trajectory
from gdfusion_ros.synthetic.world import WorldObject

pytestmark = pytest.mark.slow

DEPTH = 0.35  # [m] that two outlines may overlap


def planned(seed: int, *, crowded: bool) -> Drive:
    return drive.plan(Recipe(seed, 1, 24, 64, 36, False, False, ('noon',), crowded), 0)


@pytest.fixture(scope='module', params=[(11, False), (12, False), (13, False), (14, True)])
def busy(request: pytest.FixtureRequest) -> Drive:
    seed, crowded = request.param
    return planned(seed, crowded=crowded)


def test_crowded_streets_have_more_of_what_is_rare() -> None:
    ordinary, crowded = (
        Counter(item.model.kind for seed in range(15, 19) for item in planned(seed, crowded=crowded).world.objects)
        for crowded in (False, True)
    )
    rare = ('pedestrian', 'bicycle', 'motorcycle', 'truck', 'bus', 'trailer', 'traffic_cone', 'barrier')
    assert [kind for kind in rare if crowded[kind] < 1.5 * ordinary[kind]] == []


def outlines(objects: list[WorldObject], time: float) -> list[Points]:
    """Of what objects cover on the ground, a little smaller than they are."""
    return [
        rectangle(*item.trajectory.at(time), item.model.size[0] - DEPTH, item.model.size[1] - DEPTH) for item in objects
    ]


def overlap(a: Points, b: Points) -> bool:
    """Whether two rectangles overlap: no edge's normal separates them."""
    for edge in (a[1] - a[0], a[3] - a[0], b[1] - b[0], b[3] - b[0]):
        first, second = a @ edge, b @ edge
        if first.max() < second.min() or second.max() < first.min():
            return False
    return True


def test_nobody_drives_into_anybody_or_into_a_building(busy: Drive) -> None:
    moving = [item for item in busy.world.objects if len(item.trajectory.times) > 1]
    vehicles = [item for item in moving if item.model.kind != 'pedestrian']
    people = [item for item in moving if item.model.kind == 'pedestrian']
    solid = [
        item
        for item in busy.world.objects
        if item.model.kind in ('building', 'car', 'truck', 'bus', 'wall', 'barrier', 'construction_vehicle')
        and len(item.trajectory.times) == 1
    ]
    assert len(vehicles) > 5
    for time in np.arange(0.0, 12.0, 1.0):
        there = outlines(vehicles, time)
        walls = outlines(solid, time)
        clashes = [
            (vehicles[a].model.kind, vehicles[b].model.kind)
            for a, b in itertools.combinations(range(len(there)), 2)
            if np.linalg.norm(there[a][0] - there[b][0]) < 20 and overlap(there[a], there[b])
        ]
        assert clashes == []
        for outline in there:
            assert not any(np.linalg.norm(outline[0] - wall[0]) < 60 and overlap(outline, wall) for wall in walls)
            assert not any(
                np.linalg.norm(outline[0] - man[0]) < 20 and overlap(outline, man) for man in outlines(people, time)
            )


def test_the_vehicle_that_films_drives_smoothly(busy: Drive) -> None:
    poses = busy.world.ego.poses
    pace = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1) / STEP
    assert pace.max() < 13.5
    assert np.abs(np.diff(pace)).max() / STEP < 9.0
    assert np.abs(np.diff(poses[:, 2])).max() < 0.15


def straight(
    length: float,
    following: tuple[int, ...],
    *,
    start: tuple[float, float] = (0.0, 0.0),
    heading: tuple[float, float] = (1.0, 0.0),
    crossing: bool = False,
    conflicts: dict[int, float] | None = None,
    origin: tuple[int, ...] = (0,),
) -> Lane:
    path = line(start, np.add(start, np.multiply(heading, length)))
    return Lane(path, origin, False, crossing, None, 12.0, following, conflicts or {})


def test_one_follows_the_other_at_a_distance() -> None:
    road = [straight(2000.0, (0,))]
    slow, fast = Mover(4.5, 5.0, 2.0, 0.0, [0], 30.0), Mover(4.5, 12.0, 2.0, 0.0, [0], 10.0)
    simulate(road, [fast, slow], 30.0, np.random.default_rng(0))
    gap = slow.station - fast.station - 4.5
    assert fast.pace == pytest.approx(5.0, abs=0.3)
    assert 4.0 < gap < 12.0


def test_who_crosses_waits_for_the_other() -> None:
    road = [
        straight(60.0, (1,), origin=(0,)),
        straight(20.0, (2,), start=(60.0, 0.0), crossing=True, conflicts={4: 14.0}, origin=(-1, 0, 0)),
        straight(900.0, (2,), start=(80.0, 0.0), origin=(1,)),
        straight(60.0, (4,), start=(70.0, -70.0), heading=(0.0, 1.0), origin=(2,)),
        straight(
            20.0, (5,), start=(70.0, -10.0), heading=(0.0, 1.0), crossing=True, conflicts={1: 14.0}, origin=(-1, 0, 1)
        ),
        straight(900.0, (5,), start=(70.0, 10.0), heading=(0.0, 1.0), origin=(3,)),
    ]
    movers = [Mover(4.5, 10.0, 2.0, 0.0, [0], 10.0), Mover(4.5, 10.0, 2.0, 0.0, [3], 10.0)]
    simulate(road, movers, 15.0, np.random.default_rng(0))
    ways = [trajectory(road, mover) for mover in movers]
    distances = [np.hypot(*np.subtract(ways[0].at(time)[:2], ways[1].at(time)[:2])) for time in np.arange(0, 15, 0.1)]
    assert min(distances) > 4.0
    assert all(mover.route[mover.index] in (2, 5) for mover in movers)


def test_a_trailer_follows_its_truck_round_the_bend() -> None:
    arc = np.linspace(0, np.pi / 2, 40)
    bend = Lane(
        line(*np.column_stack([20 * np.sin(arc), 20 - 20 * np.cos(arc)])), (0,), False, False, None, 12.0, (1,), {}
    )
    road = [bend, straight(500.0, (1,), start=(20.0, 20.0), heading=(0.0, 1.0), origin=(1,))]
    truck = Mover(18.0, 6.0, 1.5, 0.0, [0], 10.0)
    simulate(road, [truck], 2.0, np.random.default_rng(0))
    front, rear = (trajectory(road, truck, behind, 8.0) for behind in (-5.0, 5.0))
    distance = np.linalg.norm(front.poses[:, :2] - rear.poses[:, :2], axis=1)
    np.testing.assert_allclose(distance, 10.0, atol=0.3)
    assert len(front.times) == round(2.0 / STEP) + 1
    assert len(truck.history) == round((2.0 + WARM_UP) / STEP) + 1
