"""The ways through a town: lanes that vehicles drive and people walk, and how they continue over the junctions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdfusion_ros.synthetic.streets.paths import Path, curve, joined, line
from gdfusion_ros.synthetic.streets.town import CROSSWALK, STOP_LINE, Arm, Junction, Town

_CREEP = 2.5  # [m/s] through the sharpest bends
_COMFORT = 2.6  # [m/s2] sideways, in a bend
_CLEARANCE = 3.0  # [m] between the middles of two lanes that vehicles can use at once
_CLEARANCE_WALK = 1.9  # [m] between the middles of a lane and of a way that people walk


@dataclass(frozen=True, eq=False)
class Lane:
    """One way in one direction.

    Attributes:
        path: Its middle.
        origin: Its street or junction and arm: lanes over a junction that begin together have the same one.
        walk: For people, not for vehicles.
        crossing: It crosses others within a junction: who wants to use it must be let in.
        signal: (junction, axis) whose light must be green to enter, None without.
        limit: Speed [m/s].
        following: Indices of the lanes that continue it.
        conflicts: Indices of the crossing lanes that come too close to this one -> station on them beyond which they do
            not any more [m].
    """

    path: Path
    origin: tuple[int, ...]
    walk: bool
    crossing: bool
    signal: tuple[int, int] | None
    limit: float
    following: tuple[int, ...]
    conflicts: Mapping[int, float]


Name = tuple[str | int, ...]
"""Of a place where lanes begin and end."""


@dataclass(frozen=True, eq=False)
class _Draft:
    """A lane before it is known what continues and what crosses it: ends are names."""

    path: Path
    start: Name
    end: Name
    origin: tuple[int, ...]
    walk: bool = False
    crossing: bool = False
    signal: tuple[int, int] | None = None
    limit: float = 13.0


def build(town: Town) -> tuple[Lane, ...]:
    """All lanes of a town; every one has a lane that continues it."""
    drafts = [*_driving_lanes(town), *_sidewalks(town)]
    for index, junction in enumerate(town.junctions):
        drafts += [*_turns(index, junction), *_corner_walks(index, junction), *_crosswalks(index, junction)]
    starts: dict[Name, list[int]] = {}
    for index, draft in enumerate(drafts):
        starts.setdefault(draft.start, []).append(index)
    # Nobody turns round on the spot.
    following = [tuple(index for index in starts[draft.end] if drafts[index].end != draft.start) for draft in drafts]
    conflicts = _conflicts(drafts)
    return tuple(
        Lane(
            draft.path,
            draft.origin,
            draft.walk,
            draft.crossing,
            draft.signal,
            _limit(draft),
            following[index],
            conflicts[index],
        )
        for index, draft in enumerate(drafts)
    )


def stop_station(junction: Junction, arm: Arm) -> float:
    """Where vehicles stop before a junction: station on the arm's outward path [m]."""
    return arm.setback + (STOP_LINE if junction.crossing else 0.0)


def stop_stations(town: Town, number: int) -> tuple[float, float]:
    """Where vehicles stop at both ends of a street: from its start and from its end [m]."""
    first, last = _ends(town, number)
    return stop_station(*first), stop_station(*last)


def crosswalk_station(arm: Arm) -> float:
    """The middle of the crosswalk: station on the arm's outward path [m]."""
    return arm.setback + sum(CROSSWALK) / 2


def _limit(draft: _Draft) -> float:
    bend = math.inf if draft.walk else math.sqrt(_COMFORT * draft.path.smallest_radius())
    return min(draft.limit, max(bend, _CREEP))


def _offset(arm: Arm, lane: int) -> float:
    """From the middle of the street to the middle of a lane; lane 0 is the innermost."""
    return arm.profile.median + (lane + 0.5) * arm.profile.lane


def _ends(town: Town, number: int) -> tuple[tuple[Junction, Arm], tuple[Junction, Arm]]:
    """Junction and arm at the start and at the end of a street."""
    street = town.streets[number]
    start, end = (town.junctions[index] for index in (street.start, street.end))
    return (
        (start, next(arm for arm in start.arms if arm.street == number)),
        (end, next(arm for arm in end.arms if arm.street == number)),
    )


def _driving_lanes(town: Town) -> Iterator[_Draft]:
    """The lanes of the streets, from stop line to stop line."""
    for number, street in enumerate(town.streets):
        ends = _ends(town, number)
        junctions = (street.start, street.end)
        for ((leave, arm), (arrive, other)), (first, last) in ((ends, junctions), (ends[::-1], junctions[::-1])):
            for lane in range(street.profile.lanes):
                path = arm.path.shifted(-_offset(arm, lane))
                path = path.between(stop_station(leave, arm), path.length - stop_station(arrive, other))
                yield _Draft(
                    path,
                    ('out', first, number, lane),
                    ('in', last, number, lane),
                    (first, number, lane),
                    limit=13.5 if street.profile.lanes > 1 else 11.5,
                )


def _turns(index: int, junction: Junction) -> Iterator[_Draft]:
    """Vehicles' ways over a junction: right from the outermost lane, left from the innermost, straight from all."""
    for arm, other in itertools.permutations(junction.arms, 2):
        ahead = -float(arm.direction @ other.direction)
        (x, y), (to_x, to_y) = -arm.direction, other.direction
        turn = float(x * to_y - y * to_x)  # the cross product of directions in the plane
        inner, outer = arm.profile.lanes - 1, other.profile.lanes - 1
        if ahead > 0.6 or not junction.crossing:
            pairs = [(lane, min(lane, outer)) for lane in range(inner + 1)]
        else:
            pairs = [(0, 0)] if turn > 0 else [(inner, outer)]
        for lane, target in pairs:
            merging = arm.profile.lanes > other.profile.lanes
            yield _Draft(
                _turn(junction, (arm, lane), (other, target)),
                ('in', index, arm.street, lane),
                ('out', index, other.street, target),
                (-1, index, arm.street, lane),
                crossing=junction.crossing or merging,
                signal=(index, arm.axis) if junction.signals else None,
                limit=10.5,
            )


def _turn(junction: Junction, source: tuple[Arm, int], target: tuple[Arm, int]) -> Path:
    """From the stop line straight to the corner, round it, and straight to where the other street's lane begins."""
    (arm, lane), (other, goal) = source, target
    enter = arm.path.shifted(_offset(arm, lane))
    leave = other.path.shifted(-_offset(other, goal))
    approach = enter.between(arm.setback, stop_station(junction, arm) + 1e-3).reversed()
    departure = leave.between(other.setback, stop_station(junction, other) + 1e-3)
    middle = curve(approach.points[-1], approach.end_direction, departure.points[0], departure.start_direction)
    return joined([approach, middle, departure])


def _sidewalks(town: Town) -> Iterator[_Draft]:
    """People's ways along the streets, from crosswalk to crosswalk, in both directions on both sides."""
    for number, street in enumerate(town.streets):
        (_, arm), (_, other) = _ends(town, number)
        for side in (1, -1):
            path = street.centre.shifted(side * street.profile.walk)
            path = path.between(crosswalk_station(arm), path.length - crosswalk_station(other))
            names = ('walk', street.start, number, side), ('walk', street.end, number, -side)
            yield from _both_ways(path, names, (number, side))


def _corner_walks(index: int, junction: Junction) -> Iterator[_Draft]:
    """Round the corners between neighbouring arms, on the sidewalk."""
    for corner in junction.corners():
        right, left = corner.right, corner.left
        ends = [
            arm.path.shifted(side * arm.profile.walk).at(crosswalk_station(arm))
            for arm, side in ((right, 1), (left, -1))
        ]
        if not corner.straight:
            ends.insert(1, corner.point(right.profile.walk, left.profile.walk))
        names = ('walk', index, right.street, 1), ('walk', index, left.street, -1)
        yield from _both_ways(line(*ends), names, (-2, index, right.street))


def _crosswalks(index: int, junction: Junction) -> Iterator[_Draft]:
    """Over every arm: from the sidewalk to the kerb, two halves of the street, and to the other sidewalk."""
    for arm in junction.arms if junction.crossing else ():
        edge = arm.profile.kerb + 0.3
        offsets = (arm.profile.walk, edge, 0.0, -edge, -arm.profile.walk)
        points = [arm.path.shifted(offset).at(crosswalk_station(arm)) for offset in offsets]
        names = [
            ('walk', index, arm.street, 1),
            *(('cross', index, arm.street, part) for part in range(3)),
            ('walk', index, arm.street, -1),
        ]
        signal = (index, 1 - arm.axis) if junction.signals else None
        for part, ends in enumerate(itertools.pairwise(names)):
            path = line(*points[part : part + 2])
            half = part in (1, 2)
            yield from _both_ways(path, ends, (-3, index, arm.street, part), signal if half else None, crossing=half)


def _both_ways(
    path: Path,
    names: tuple[Name, Name],
    origin: tuple[int, ...],
    signal: tuple[int, int] | None = None,
    *,
    crossing: bool = False,
) -> Iterator[_Draft]:
    """A way that people walk in both directions."""
    for direction, way in enumerate((path, path.reversed())):
        start, end = names if direction == 0 else names[::-1]
        yield _Draft(way, start, end, (*origin, direction), True, crossing, signal)


def _conflicts(drafts: Sequence[_Draft]) -> list[dict[int, float]]:
    """What Lane.conflicts says, for every lane."""
    found: list[dict[int, float]] = [{} for _ in drafts]
    crossing = [index for index, draft in enumerate(drafts) if draft.crossing]
    for _, members in itertools.groupby(
        sorted(crossing, key=lambda index: drafts[index].origin[1]), key=lambda index: drafts[index].origin[1]
    ):
        for a, b in itertools.combinations(tuple(members), 2):
            ends = _too_close(drafts[a], drafts[b])
            if ends is not None:
                found[b][a], found[a][b] = ends
    return found


def _too_close(a: _Draft, b: _Draft) -> tuple[float, float] | None:
    """The last stations, on both lanes, that are too close to the other one; None without any."""
    if a.origin == b.origin or (a.walk and b.walk):
        return None
    clearance = _CLEARANCE_WALK if a.walk or b.walk else _CLEARANCE
    stations, others = (np.append(np.arange(0.0, draft.path.length, 0.7), draft.path.length) for draft in (a, b))
    distances = np.linalg.norm(a.path.at(stations)[:, None] - b.path.at(others)[None], axis=-1)
    close = distances < clearance
    if not close.any():
        return None
    return float(stations[close.any(axis=1)].max()), float(others[close.any(axis=0)].max())
