"""Streets, the lanes on them, and the ground that both are drawn on."""

from __future__ import annotations

import numpy as np
import pytest

from gdfusion_ros.synthetic.streets import ground, lanes, town
from gdfusion_ros.synthetic.streets.lanes import Lane
from gdfusion_ros.synthetic.streets.paths import Points
from gdfusion_ros.synthetic.streets.town import Town
from gdfusion_ros.synthetic.world import Ground, Surface

ROAD = (Surface.ASPHALT, Surface.LINE_WHITE, Surface.LINE_YELLOW)


@pytest.fixture(scope='module', params=[1, 2, 3])
def some_town(request: pytest.FixtureRequest) -> Town:
    return town.build(np.random.default_rng(request.param))


@pytest.fixture(scope='module')
def its_lanes(some_town: Town) -> tuple[Lane, ...]:
    return lanes.build(some_town)


@pytest.fixture(scope='module')
def its_ground(some_town: Town) -> Ground:
    return ground.draw(some_town, (), ())


def surfaces_at(where: Ground, points: Points) -> list[int]:
    cells = np.floor((points - where.origin) / where.cell).astype(int)
    return list(where.surfaces[cells[:, 0], cells[:, 1]])


def test_every_junction_joins_two_streets_or_more(some_town: Town) -> None:
    ends = [end for street in some_town.streets for end in (street.start, street.end)]
    assert all(ends.count(junction) >= 2 for junction in range(len(some_town.junctions)))
    assert all(len(junction.arms) == ends.count(index) for index, junction in enumerate(some_town.junctions))


def test_lanes_continue_where_they_end(its_lanes: tuple[Lane, ...]) -> None:
    for lane in its_lanes:
        assert lane.following
        for index in lane.following:
            after = its_lanes[index]
            assert after.walk == lane.walk
            np.testing.assert_allclose(after.path.points[0], lane.path.points[-1], atol=0.05)
            if not lane.walk:
                assert lane.path.end_direction @ after.path.start_direction > 0.9


def test_vehicles_drive_on_the_road_and_keep_right(
    some_town: Town, its_lanes: tuple[Lane, ...], its_ground: Ground
) -> None:
    for lane in its_lanes:
        if not lane.walk:
            points = lane.path.at(np.arange(0.0, lane.path.length, 1.0))
            assert np.mean(np.isin(surfaces_at(its_ground, points), ROAD)) > 0.98
    street = some_town.streets[0]
    beside = [lane for lane in its_lanes if lane.origin[:2] == (street.start, 0) and not lane.walk]
    middle = street.centre.at(street.centre.length / 2)
    for lane in beside:
        across = lane.path.at(lane.path.length / 2) - middle
        along = lane.path.at(lane.path.length / 2 + 1.0) - lane.path.at(lane.path.length / 2)
        assert np.cross(along, across) < 0


def test_people_walk_on_sidewalks_and_cross_on_crosswalks(its_lanes: tuple[Lane, ...], its_ground: Ground) -> None:
    walked = np.vstack(
        [lane.path.at(np.arange(0.0, lane.path.length, 1.0)) for lane in its_lanes if lane.walk and not lane.crossing]
    )
    assert np.mean(np.equal(surfaces_at(its_ground, walked), Surface.SIDEWALK)) > 0.95
    crossed = np.vstack(
        [lane.path.at(np.arange(0.0, lane.path.length, 0.2)) for lane in its_lanes if lane.walk and lane.crossing]
    )
    assert 0.25 < np.mean(np.equal(surfaces_at(its_ground, crossed), Surface.LINE_WHITE)) < 0.65


def test_ways_that_cross_exclude_each_other(its_lanes: tuple[Lane, ...]) -> None:
    crossing = [index for index, lane in enumerate(its_lanes) if lane.crossing]
    assert crossing
    for index in crossing:
        for other in its_lanes[index].conflicts:
            assert index in its_lanes[other].conflicts
    walks = [lane for lane in its_lanes if lane.walk and lane.crossing]
    assert all(any(not its_lanes[other].walk for other in lane.conflicts) for lane in walks)


def test_all_kinds_of_ground_are_drawn(its_ground: Ground) -> None:
    drawn = np.unique(its_ground.surfaces)
    assert {
        Surface.ASPHALT,
        Surface.LINE_WHITE,
        Surface.LINE_YELLOW,
        Surface.SIDEWALK,
        Surface.KERB,
        Surface.GRASS,
    } <= set(drawn.tolist())
