from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros.pace import Pace


@dataclass
class Clock:
    """A node's clock that the test sets [s]."""

    ros_time_is_active: bool
    seconds: float = 5000.0

    def now(self) -> Any:
        return SimpleNamespace(nanoseconds=int(self.seconds * NANOSECONDS))


@pytest.mark.parametrize(('passed', 'pace'), [(0.0, 0.0), (0.5, 0.25), (2.0, 1.0), (20.0, 1.0), (-3.0, 1.0)], ids=str)
def test_the_pace_of_a_bag(passed: float, pace: float) -> None:
    clock: Any = Clock(ros_time_is_active=True)
    watched = Pace(clock, 100.0)
    clock.seconds += passed
    assert watched.look(102.0) == pytest.approx(pace)
    assert watched.look(102.0) == 1.0, 'no time went by'
    assert watched.look(103.0) == 0.0, 'it stands still'


def test_the_time_of_the_system_goes_as_it_goes() -> None:
    clock: Any = Clock(ros_time_is_active=False)
    watched = Pace(clock, 100.0)
    clock.seconds += 0.1
    assert watched.look(101.0) == 1.0
