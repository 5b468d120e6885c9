"""What stands along the streets: parked vehicles, roadworks, trees, lights, signs, benches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from gdfusion_ros.synthetic.streets.density import Density
from gdfusion_ros.synthetic.streets.lanes import Lane, crosswalk_station, stop_stations
from gdfusion_ros.synthetic.streets.paths import Path, band
from gdfusion_ros.synthetic.streets.site import Edge, Site, edges
from gdfusion_ros.synthetic.streets.town import KERB, PARKING, Profile, Town

_ROWS = {'traffic_cone': 1.1, 'barrier': 0.2}
"""Kinds of furniture that stand in rows -> gap between two [m]."""

_ROADWORKS_NEAR = 12.0  # [m] from the way that is filmed
_WALK_WIDTH = 1.7  # [m] kept free for people


def reserve_ways(site: Site, town: Town, lanes: tuple[Lane, ...]) -> None:
    """Keep lanes, crosswalks and the ways of people free of objects, and buildings off the streets."""
    for street in town.streets:
        outer, lanes_edge = street.profile.outer, street.profile.lanes_edge
        site.mark_street(band(street.centre, outer, -outer))
        site.take(band(street.centre, lanes_edge, -lanes_edge))
    for lane in lanes:
        width = _WALK_WIDTH if lane.walk else 3.0
        site.take(band(lane.path, width / 2, -width / 2))


def furnish(site: Site, town: Town, density: Density) -> None:
    """Put what belongs on the streets' edges, street by street and side by side."""
    for profile, kerb, start, end in _sides(town):
        if profile.parking:
            _roadworks(site, kerb, start + 6.0, end - 6.0, density)
            _park(site, kerb, start + 5.0, end - 5.0, density)
        _line_with_furniture(site, profile, kerb, start, end, density)
        if profile.median > 0.9:
            _plant_island(site, profile, kerb, start, end)
    _signals(site, town)


def _sides(town: Town) -> Iterator[tuple[Profile, Path, float, float]]:
    """Both sides of every street: profile, path along the kerb with the land on its left, where the stop lines are."""
    for number, street in enumerate(town.streets):
        offset = street.profile.kerb
        first, last = stop_stations(town, number)
        left, right = street.centre.shifted(offset), street.centre.shifted(-offset).reversed()
        yield street.profile, left, first, left.length - last
        yield street.profile, right, last, right.length - first


def _park(site: Site, kerb: Path, start: float, end: float, density: Density) -> None:
    """Vehicles in the parking strip, more or fewer; they look along their side's traffic."""
    share = site.rng.choice(density.occupied)
    kinds, weights = list(density.parked), list(density.parked.values())
    slots = (float(site.rng.uniform(5.4, 6.6)) for _ in itertools.count())
    for edge, _ in edges(kerb, start, end, slots):
        if site.rng.random() < share:
            kind = str(site.rng.choice(kinds, p=weights))
            along, aside = site.rng.uniform(-0.3, 0.3), -PARKING / 2 + site.rng.uniform(-0.1, 0.15)
            yaw = edge.yaw + math.pi + site.rng.normal(0, 0.02)
            site.put(kind, edge.at(along, aside), yaw, margin=-0.15)


def _roadworks(site: Site, kerb: Path, start: float, end: float, density: Density) -> None:
    """A stretch of the parking strip that is closed: cones and barriers, a machine or a truck."""
    length = float(site.rng.uniform(14, 24))
    if end - start < length + 2 or site.rng.random() > density.roadworks:
        return
    station = float(site.rng.uniform(start, end - length))
    middle = station + length / 2
    edge = Edge(kerb.at(middle), kerb.heading(middle))
    if not site.near(*edge.at(0.0, 0.0), _ROADWORKS_NEAR):
        return
    half, lane = length / 2, -PARKING + 0.35
    kind = 'construction_vehicle' if site.rng.random() < 0.7 else 'truck'
    site.put(kind, edge.at(float(site.rng.uniform(-2, 2)), -1.2), edge.yaw + math.pi, margin=-0.3)
    for u in (-half, half):
        site.put('barrier', edge.at(u, -1.3), edge.yaw, margin=0.0)
    kind = 'traffic_cone' if site.rng.random() < 0.6 else 'barrier'
    site.row(kind, edge.at(-half + 0.6, lane), edge.at(half - 0.6, lane), _ROWS[kind])


def _line_with_furniture(site: Site, profile: Profile, kerb: Path, start: float, end: float, density: Density) -> None:
    """Trees, lights, signs and other furniture between kerb and sidewalk."""
    depth = KERB + 0.45 + (profile.verge / 2 if profile.verge else 0.0)
    kinds, weights = list(density.furniture), list(density.furniture.values())
    for index, (edge, _) in enumerate(edges(kerb, start, end, itertools.repeat(density.furniture_step))):
        if index % 4 == 1:
            site.put('street_light', edge.at(0.0, depth), edge.yaw - math.pi / 2)
            continue
        kind = str(site.rng.choice(kinds, p=weights))
        if kind in _ROWS:
            site.row(kind, edge.at(-3.0, depth), edge.at(3.0, depth), _ROWS[kind])
        else:
            yaw = {'sign': edge.yaw, 'bench': edge.yaw + math.pi / 2}.get(kind, edge.yaw + math.pi)
            site.put(kind, edge.at(float(site.rng.uniform(-1.0, 1.0)), depth), yaw, margin=0.0)


def _plant_island(site: Site, profile: Profile, kerb: Path, start: float, end: float) -> None:
    """Bushes and trees on the island between the directions."""
    steps = (float(site.rng.uniform(6.0, 12.0)) for _ in itertools.count())
    for edge, _ in edges(kerb, start + 3, end - 3, steps):
        kind = 'tree' if site.rng.random() < 0.3 else 'bush'
        x, y = edge.at(0.0, -profile.kerb)
        if site.near(x, y):
            site.add(kind, (x, y), float(site.rng.uniform(-math.pi, math.pi)))


def _signals(site: Site, town: Town) -> None:
    """Traffic lights beside the stop lines, on the right of who comes in; signs where there are none."""
    for junction in town.junctions:
        for arm in junction.arms if junction.crossing else ():
            station = crosswalk_station(arm) + 2.6
            beside = arm.path.shifted(arm.profile.kerb + KERB + 0.3).at(station)
            outward = arm.path.heading(station)
            site.put(
                'traffic_light' if junction.signals else 'sign',
                (float(beside[0]), float(beside[1])),
                outward,
                margin=0.0,
            )
            if junction.signals and np.isclose(arm.profile.median, 0.0):
                opposite = arm.path.shifted(-arm.profile.kerb - KERB - 0.3).at(station)
                site.put('traffic_light', (float(opposite[0]), float(opposite[1])), outward, margin=0.0)
