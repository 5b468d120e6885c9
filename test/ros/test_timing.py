"""When a message arrived."""

from __future__ import annotations

import time

import pytest

from gdfusion_ros.ros.timing import arrival


def test_arrival_is_when_dds_had_the_message() -> None:
    before = time.monotonic()
    info = {'received_timestamp': time.time_ns() - 10**9}
    assert before - 1.001 <= arrival(info) <= time.monotonic() - 0.999


@pytest.mark.parametrize('received', [0, 2 * 10**18])
def test_a_time_that_cannot_be_counts_as_now(received: int) -> None:
    before = time.monotonic()
    assert before <= arrival({'received_timestamp': received}) <= time.monotonic()
