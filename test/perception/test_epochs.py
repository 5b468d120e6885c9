"""Restarts of time, told apart stream by stream."""

from __future__ import annotations

import pytest

from gdfusion_ros.perception.epochs import EpochClock
from gdfusion_ros.perception.types import nanoseconds


@pytest.fixture
def clock() -> EpochClock:
    return EpochClock(nanoseconds(0.25))


def observe(clock: EpochClock, name: str, *seconds: float) -> list[int]:
    return [clock.observe(name, nanoseconds(second)) for second in seconds]


def test_time_that_runs_on_stays_in_its_epoch(clock: EpochClock) -> None:
    assert observe(clock, 'a', 1.0, 1.5, 1.3, 1.25, 900.0) == [0] * 5


def test_a_jump_back_begins_the_next_epoch(clock: EpochClock) -> None:
    assert observe(clock, 'a', 1.0, 1.5, 1.0, 1.5, 1.0) == [0, 0, 1, 1, 2]


def test_each_stream_jumps_when_its_own_time_does(clock: EpochClock) -> None:
    assert observe(clock, 'a', 1.0, 1.5, 1.0) == [0, 0, 1]
    clock = EpochClock(nanoseconds(0.25))
    observe(clock, 'a', 1.0)
    assert observe(clock, 'b', 1.0) == [0]
    assert observe(clock, 'a', 1.5, 1.0) == [0, 1]
    assert observe(clock, 'b', 1.5, 1.0) == [0, 1]
    assert clock.newest == 1


def test_a_new_stream_belongs_to_the_newest_epoch(clock: EpochClock) -> None:
    observe(clock, 'a', 5.0, 1.0)
    assert observe(clock, 'b', 1.0) == [1]


def test_a_stream_that_slept_through_jumps_catches_up_when_it_jumps(clock: EpochClock) -> None:
    observe(clock, 'b', 1.5)
    observe(clock, 'a', 1.0, 1.5, 1.0, 1.5, 1.0, 1.5, 1.0)
    assert observe(clock, 'b', 1.0) == [3]


def test_a_stream_that_does_not_jump_follows_after_a_second(clock: EpochClock) -> None:
    observe(clock, 'b', 7.0)
    observe(clock, 'a', 7.0, 1.0)
    assert observe(clock, 'b', 7.1, 7.6, 8.1, 8.2, 8.3) == [0, 0, 0, 1, 1]


def test_clear_begins_anew(clock: EpochClock) -> None:
    observe(clock, 'a', 5.0, 1.0)
    clock.clear()
    assert clock.newest == 0
    assert observe(clock, 'a', 0.1) == [0]


def test_a_follower_that_jumps_alone_is_named_and_begins_no_epoch() -> None:
    alone: list[object] = []
    clock = EpochClock(nanoseconds(0.25), alone.append)
    clock.observe('leader', nanoseconds(7.0))
    found = [clock.observe('follower', nanoseconds(at), leads=False) for at in (7.0, 3.0, 3.5, 4.1, 4.6)]
    assert (found, clock.newest, alone) == ([0, 1, 1, 0, 0], 0, ['follower'])
