"""The period of a stream and the choice of key frames."""

from __future__ import annotations

import pytest

from gdfusion_ros.perception.cadence import Cadence, KeyframeSelector
from gdfusion_ros.perception.types import nanoseconds


def chosen(interval: float, seconds: list[float], epoch: int = 0) -> list[float]:
    selector = KeyframeSelector(nanoseconds(interval))
    return [second for second in seconds if selector.choose(epoch, nanoseconds(second))]


def test_a_period_is_known_from_the_second_stamp_on() -> None:
    cadence = Cadence()
    cadence.observe(0, 1000)
    assert cadence.half_period() is None
    cadence.observe(0, 1100)
    assert cadence.half_period() == 50


def test_one_gap_does_not_change_the_period() -> None:
    cadence = Cadence()
    for stamp in (0, 100, 200, 700, 800, 801, 900):
        cadence.observe(0, stamp)
    assert cadence.half_period() == 50


def test_a_new_epoch_begins_with_an_unknown_period() -> None:
    cadence = Cadence()
    cadence.observe(0, 0)
    cadence.observe(0, 100)
    cadence.observe(1, 0)
    assert cadence.half_period() is None


def test_a_12_hz_stream_is_thinned_to_exactly_the_interval() -> None:
    stream = [index / 12 for index in range(25)]
    assert chosen(0.5, stream) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_jitter_does_not_shift_the_choice() -> None:
    jitter = [0.0, 0.004, -0.006, 0.008, -0.002, 0.005, -0.008, 0.001]
    stream = [index / 12 + jitter[index % 8] for index in range(25)]
    assert chosen(0.5, stream) == [stream[index] for index in (0, 6, 12, 18, 24)]


def test_key_frames_of_nuscenes_are_all_taken() -> None:
    stream = [0.0, 0.4, 1.0, 1.5, 1.95, 2.35, 2.95]
    assert chosen(0.5, stream) == stream


def test_an_interval_of_zero_takes_all() -> None:
    stream = [0.0, 0.01, 0.02]
    assert chosen(0.0, stream) == stream


def test_the_first_set_of_an_epoch_is_taken() -> None:
    selector = KeyframeSelector(nanoseconds(0.5))
    assert selector.choose(0, nanoseconds(10.0))
    assert selector.choose(1, nanoseconds(9.9))


@pytest.mark.parametrize(('stamp', 'wanted'), [(0.3, False), (0.46, True), (0.5, True)])
def test_asking_does_not_choose(stamp: float, wanted: bool) -> None:
    selector = KeyframeSelector(nanoseconds(0.5))
    selector.choose(0, 0)
    selector.choose(0, nanoseconds(0.1))
    assert selector.wants(0, nanoseconds(stamp)) is wanted
    assert selector.choose(0, nanoseconds(0.5))
