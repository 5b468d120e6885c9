"""Who moves through the town: vehicles, cyclists and people, one following the other, taking turns at junctions.

Speeds follow the Intelligent Driver Model (Treiber, Hennecke, Helbing, "Congested traffic states in empirical
observations and microscopic simulations", 2000). Ways that cross within a junction are reserved before they are
entered: by green light where there are signals, and never while somebody uses a way that comes too close.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from gdfusion_ros.synthetic.streets.lanes import Lane
from gdfusion_ros.synthetic.streets.paths import Path, Points, joined
from gdfusion_ros.synthetic.world import Trajectory

STEP = 0.1  # [s] of the simulation and of the tracks
WARM_UP = 8.0  # [s] that traffic runs before the scene begins

_LOOK_AHEAD = 60.0  # [m]
_GAP, _HEADWAY = 2.0, 1.1  # [m], [s] kept to the one ahead
_STOP_SHORT = 0.3  # [m] before the stop line
_BRAKE, _HARDEST = 2.0, 8.0  # [m/s2] comfortable, and the most
_GREEN, _WALK, _CLEARING = 8.0, 2.0, 2.0  # [s] that a signal is green, for people, and that all are red between
_PATIENCE = 5.0  # [s] of waiting, after which others have to let one go first
_REST = 0.3  # share of the length between centre and the points that follow the way


@dataclass(eq=False)
class Mover:
    """Somebody who moves along lanes. ``length`` [m], ``speed`` wanted [m/s], ``side`` [m] left of the lane's middle.

    ``turns``: how much rather it turns than goes straight. The other attributes are the state of the simulation:
    ``route`` are the lanes taken so far and those decided on, ``index`` the one it is on, ``station`` [m] where on it,
    ``waited`` [s] for being let in, ``held`` the crossing lanes it has reserved, with the way left on each [m].
    """

    length: float
    speed: float
    acceleration: float
    side: float
    route: list[int]
    station: float
    turns: float = 1.0
    index: int = 0
    pace: float = 0.0
    travelled: float = 0.0
    waited: float = 0.0
    held: dict[int, float] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)


def plan_route(lanes: Sequence[Lane], mover: Mover, distance: float, rng: Generator) -> None:
    """Extend a mover's route by chance: its last lane begins ``distance`` metres ahead or farther, and crosses none."""
    ahead = sum(lanes[lane].path.length for lane in mover.route[mover.index : -1]) - mover.station
    while ahead < distance or lanes[mover.route[-1]].crossing:
        last = lanes[mover.route[-1]]
        ahead += last.path.length
        weights = np.array([_weight(mover, lanes[lane]) for lane in last.following])
        mover.route.append(int(rng.choice(last.following, p=weights / weights.sum())))


def _weight(mover: Mover, lane: Lane) -> float:
    """How rather than another way a mover takes this one."""
    if lane.walk:
        return 0.25 if lane.crossing else 1.0
    return mover.turns if float(lane.path.start_direction @ lane.path.end_direction) < 0.8 else 1.0


def simulate(lanes: Sequence[Lane], movers: Sequence[Mover], duration: float, rng: Generator) -> None:
    """Let all move for WARM_UP + ``duration`` seconds; each one's ``history`` gets the way travelled at every step."""
    simulation = _Simulation(lanes, movers, rng)
    for step in range(round((WARM_UP + duration) / STEP) + 1):
        simulation.advance(step * STEP)


def trajectory(lanes: Sequence[Lane], mover: Mover, behind: float = 0.0, length: float | None = None) -> Trajectory:
    """The track of a mover, or of a trailer of ``length`` whose middle is ``behind`` metres behind the mover's own."""
    way = joined([lanes[index].path for index in mover.route]).shifted(mover.side)
    start = mover.station - mover.travelled + sum(lanes[index].path.length for index in mover.route[: mover.index])
    history = np.array(mover.history)
    begin = round(WARM_UP / STEP)
    stations = start + history[begin:] - behind
    poses = _poses(way, stations, _REST * (mover.length if length is None else length))
    return Trajectory(np.arange(len(poses)) * STEP, poses)


def _poses(way: Path, stations: Points, reach: float) -> Points:
    """(n, 3) x, y, yaw of something that rests on the way ``reach`` metres before and behind its middle."""
    back, front = way.at(stations - reach), way.at(stations + reach)
    along = front - back
    yaw = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
    return np.column_stack([(front + back) / 2, yaw])


class _Simulation:
    """All movers at one instant, and who holds which crossing."""

    def __init__(self, lanes: Sequence[Lane], movers: Sequence[Mover], rng: Generator) -> None:
        self._lanes = lanes
        self._lengths = [lane.path.length for lane in lanes]
        self._siblings = _siblings(lanes)
        self._movers = movers
        self._holders: dict[int, list[Mover]] = {}
        self._rng = rng

    def advance(self, time: float) -> None:
        """One step: who is let in, how fast everyone goes, where that leads."""
        self._on: dict[int, list[Mover]] = {}
        for mover in self._movers:
            self._on.setdefault(mover.route[mover.index], []).append(mover)
        claimed: set[int] = set()
        limits = {}
        for mover in sorted(self._movers, key=lambda one: -one.waited):
            plan_route(self._lanes, mover, _LOOK_AHEAD, self._rng)
            limits[mover] = self._stop(mover, time, claimed)
        for mover in self._movers:
            mover.pace = self._pace(mover, limits[mover])
        for mover in self._movers:
            self._move(mover)

    def _stop(self, mover: Mover, time: float, claimed: set[int]) -> float:
        """The way to the first crossing ahead that the mover is not let in to [m]; infinite without one."""
        distance = self._lengths[mover.route[mover.index]] - mover.station
        reach = mover.pace**2 / (2 * _BRAKE) + mover.pace * STEP + 2 * mover.length
        first = all(other.station <= mover.station for other in self._on[mover.route[mover.index]])
        for position in range(mover.index + 1, len(mover.route)):
            if distance > reach:
                break
            lane = mover.route[position]
            if (
                self._lanes[lane].crossing
                and lane not in mover.held
                and not (first and self._let_in(mover, position, time, claimed))
            ):
                return distance - mover.length / 2
            first = first and not self._on.get(lane)
            distance += self._lengths[lane]
        return math.inf

    def _let_in(self, mover: Mover, position: int, time: float, claimed: set[int]) -> bool:
        """Reserve the crossing lane at a ``position`` of the route, and those after it until the junction is behind, if
        the light is green, nobody is in the way, and there is room behind them.

        Who has waited long claims them: no other one is let in before.
        """
        way = self._lanes[mover.route[position]]
        if not _green(way, time):
            return False
        wanted = list(itertools.takewhile(lambda lane: self._lanes[lane].crossing, mover.route[position:]))
        if not way.walk and self._room(mover.route[position + len(wanted)]) < mover.length + _GAP:
            return False
        if any(self._blocked(lane, claimed) for lane in wanted):
            mover.waited += STEP
            if mover.waited > _PATIENCE:
                claimed.update(wanted)
            return False
        mover.waited = 0.0
        for lane in wanted:
            mover.held[lane] = math.inf
            self._holders.setdefault(lane, []).append(mover)
        return True

    def _blocked(self, lane: int, claimed: set[int]) -> bool:
        """Whether somebody uses or claims what comes too close to a lane, and has not passed there."""
        for other, end in self._lanes[lane].conflicts.items():
            if other in claimed:
                return True
            for mover in self._holders.get(other, ()):
                if mover.route[mover.index] != other or mover.station - mover.length / 2 < end:
                    return True
        return False

    def _room(self, lane: int) -> float:
        """The way from the beginning of a lane to the rear of the last one on it, a moment later [m]."""
        return min((one.station - one.length / 2 + 2.0 * one.pace for one in self._on.get(lane, ())), default=math.inf)

    def _pace(self, mover: Mover, stop: float) -> float:
        """The speed after this step [m/s]."""
        standing = _GAP * min(1.0, mover.length / 2)
        gap, pace_ahead = self._ahead(mover)
        if stop + standing - _STOP_SHORT < gap:
            gap, pace_ahead = stop + standing - _STOP_SHORT, 0.0
        wanted, pace = self._wanted(mover), mover.pace
        closing = pace * (pace - pace_ahead) / (2 * math.sqrt(mover.acceleration * _BRAKE))
        kept = standing + max(0.0, pace * _HEADWAY + closing)
        change = mover.acceleration * (1 - (pace / wanted) ** 4 - (kept / max(gap, 0.05)) ** 2)
        return max(0.0, pace + STEP * min(max(change, -_HARDEST), mover.acceleration))

    def _wanted(self, mover: Mover) -> float:
        """The speed that the way here and ahead allows [m/s]."""
        wanted = min(mover.speed, self._lanes[mover.route[mover.index]].limit)
        distance = self._lengths[mover.route[mover.index]] - mover.station
        for lane in mover.route[mover.index + 1 :]:
            if distance > _LOOK_AHEAD:
                break
            wanted = min(wanted, math.sqrt(self._lanes[lane].limit ** 2 + 2 * 0.7 * _BRAKE * max(distance, 0.0)))
            distance += self._lengths[lane]
        return wanted

    def _ahead(self, mover: Mover) -> tuple[float, float]:
        """Gap to the next one on the mover's way [m] and that one's speed [m/s]."""
        offset = -mover.station
        for position in range(mover.index, len(mover.route)):
            lane = mover.route[position]
            nearest = min(
                (
                    (offset + other.station - (other.length + mover.length) / 2, other.pace)
                    for other in self._near(lane)
                    if other is not mover and offset + other.station > 0
                ),
                default=None,
            )
            if nearest is not None:
                return nearest
            offset += self._lengths[lane]
            if offset > _LOOK_AHEAD:
                break
        return math.inf, 0.0

    def _near(self, lane: int) -> Iterator[Mover]:
        """Who is on a lane, or has not yet parted from it on one that begins together with it."""
        yield from self._on.get(lane, ())
        for sibling in self._siblings[lane]:
            for mover in self._on.get(sibling, ()):
                if mover.station - mover.length / 2 < 6.0:
                    yield mover

    def _move(self, mover: Mover) -> None:
        step = mover.pace * STEP
        mover.station += step
        mover.travelled += step
        mover.history.append(mover.travelled)
        while mover.station > self._lengths[mover.route[mover.index]]:
            mover.station -= self._lengths[mover.route[mover.index]]
            left = mover.route[mover.index]
            mover.index += 1
            if left in mover.held:
                mover.held[left] = mover.length / 2 + 0.5 + step
        for lane, rest in list(mover.held.items()):
            mover.held[lane] = rest - step
            if rest - step <= 0:
                del mover.held[lane]
                self._holders[lane].remove(mover)


def _green(lane: Lane, time: float) -> bool:
    """Whether a lane's light is green, if it has one; junctions differ in when theirs change."""
    if lane.signal is None:
        return True
    junction, axis = lane.signal
    phase, rest = divmod(time + 3.7 * junction, _GREEN + _CLEARING)
    return int(phase) % 2 == axis and rest < (_WALK if lane.walk else _GREEN)


def _siblings(lanes: Sequence[Lane]) -> list[list[int]]:
    """Index of a crossing lane -> the other vehicles' lanes that begin where it begins."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, lane in enumerate(lanes):
        if not lane.walk and lane.origin[0] == -1:
            groups.setdefault(lane.origin, []).append(index)
    return [
        [other for other in groups.get(lane.origin, ()) if other != index] if not lane.walk else []
        for index, lane in enumerate(lanes)
    ]
