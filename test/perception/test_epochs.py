"""Restarts of time, told apart stream by stream."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gdfusion_ros.perception.epochs import EpochClock, Jump
from gdfusion_ros.perception.types import NANOSECONDS, nanoseconds


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


Shown = tuple[str, float]


def alone(shown: Sequence[Shown]) -> tuple[list[int], list[str]]:
    """The epochs of what streams show, one after the other, and those that jumped alone; a, b and c lead."""
    found: list[Jump] = []
    clock = EpochClock(nanoseconds(0.25), found.append)
    epochs = [clock.observe(name, nanoseconds(at), leads=name in 'abc') for name, at in shown]
    return epochs, [f'{jump.stream} {(jump.after - jump.before) / NANOSECONDS:+.1f}' for jump in found]


def merged(**streams: Sequence[float]) -> list[Shown]:
    """What streams show, by turns."""
    return [
        (name, stamps[index])
        for index in range(max(map(len, streams.values())))
        for name, stamps in streams.items()
        if index < len(stamps)
    ]


ON = [7.0, 7.5, 8.0, 8.5, 9.0, 9.5]
BACK = [7.0, 3.5, 4.0, 4.5, 5.0, 5.5]
AHEAD = [7.0, 97.5, 98.0, 98.5, 99.0, 99.5]
ONCE_BACK = [7.0, 0.0, 8.0, 8.5, 9.0, 9.5]
ONCE_AHEAD = [7.0, 97.5, 8.0, 8.5, 9.0, 9.5]


@pytest.mark.parametrize(
    ('shown', 'epochs', 'named'),
    [
        (merged(a=ON, x=BACK), {'a': [0] * 6, 'x': [0, 1, 1, 1, 1, 0]}, ['x -3.5']),
        (merged(a=ON, x=AHEAD), {'a': [0] * 6, 'x': [0] * 6}, ['x +90.5']),
        (merged(a=BACK, x=ON), {'a': [0, 1, 1, 1, 1, 1], 'x': [0, 0, 0, 0, 1, 1]}, ['a -3.5']),
        (merged(a=AHEAD, x=ON), {'a': [0] * 6, 'x': [0] * 6}, ['a +90.5']),
        (merged(a=BACK, b=ON, x=ON), {'a': [0] + [1] * 5, 'b': [0] * 4 + [1] * 2, 'x': [0] * 4 + [1] * 2}, ['a -3.5']),
        (merged(a=BACK, b=BACK, x=ON), {'a': [0] + [1] * 5, 'b': [0] + [1] * 5, 'x': [0] * 4 + [1] * 2}, []),
        (merged(x=BACK, a=BACK, b=BACK), {'a': [0] + [1] * 5, 'b': [0] + [1] * 5, 'x': [0] + [1] * 5}, []),
        (
            merged(x=BACK, y=BACK, a=ON),
            {'a': [0] * 6, 'x': [0, 1, 1, 1, 1, 0], 'y': [0, 1, 1, 1, 1, 0]},
            ['x -3.5', 'y -3.5'],
        ),
        (merged(x=AHEAD, a=AHEAD, b=AHEAD), {'a': [0] * 6, 'x': [0] * 6, 'b': [0] * 6}, []),
        (merged(x=BACK, y=ON), {'x': [0] + [1] * 5, 'y': [0] * 6}, []),
        (merged(a=ON, x=ONCE_BACK), {'a': [0] * 6, 'x': [0, 1, 0, 0, 0, 0]}, ['x -7.0']),
        (merged(a=ON, x=ONCE_AHEAD), {'a': [0] * 6, 'x': [0] * 6}, ['x +90.5']),
        (merged(x=ONCE_BACK, y=ONCE_BACK, a=ON), {'x': [0, 1, 0, 0, 0, 0], 'a': [0] * 6}, ['x -7.0', 'y -7.0']),
        (merged(a=ONCE_BACK, x=ON), {'a': [0] + [1] * 5, 'x': [0] * 4 + [1] * 2}, ['a -7.0']),
        (merged(a=ONCE_AHEAD, x=ON), {'a': [0, 0] + [1] * 4, 'x': [0] * 5 + [1]}, ['a -89.5']),
    ],
    ids=[
        'follower back',
        'follower ahead',
        'leader back',
        'leader ahead',
        'one of two leaders',
        'two leaders',
        'all back',
        'two followers',
        'all ahead',
        'no leader',
        'one stamp of a follower back',
        'one stamp of a follower ahead',
        'one stamp of two followers',
        'one stamp of a leader back',
        'one stamp of a leader ahead',
    ],
)
def test_a_stream_that_jumps_alone_is_named(
    shown: Sequence[Shown], epochs: dict[str, list[int]], named: list[str]
) -> None:
    found, jumps = alone(shown)
    assert {
        name: [epoch for (other, _), epoch in zip(shown, found, strict=True) if other == name] for name in epochs
    } == epochs
    assert jumps == named


def test_a_stream_that_jumps_again_before_a_leader_does_is_named_at_once() -> None:
    assert alone([('a', 7.0), ('x', 7.0), ('x', 3.0), ('x', 1.0), ('x', 1.5)]) == ([0, 0, 1, 0, 0], ['x -2.0'])


def test_a_stream_that_comes_late_bears_no_witness() -> None:
    assert alone([('a', 7.0), ('a', 3.0), ('x', 3.0), ('x', 4.0), ('x', 5.0)]) == ([0, 1, 1, 1, 1], [])
