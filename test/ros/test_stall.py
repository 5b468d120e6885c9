"""A process that computes is waited for, one that does not is given up."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

from gdfusion_ros.ros.stall import Stall, processor_time


class Process:
    """A time and a use of the processor that the test moves."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def stall(self) -> Stall:
        return Stall(10.0, lambda: self.used, lambda: self.now)


def test_who_neither_speaks_nor_computes_is_given_up_after_the_limit() -> None:
    process = Process()
    stall = process.stall()
    process.now = 9.9
    assert not stall
    process.now, process.used = 10.0, 0.2
    assert stall


def test_who_computes_is_waited_for() -> None:
    process = Process()
    stall = process.stall()
    for _ in range(5):
        process.now, process.used = process.now + 10.0, process.used + 1.0
        assert not stall
    process.now += 10.0
    assert stall


def test_who_was_heard_of_has_the_whole_limit_again() -> None:
    process = Process()
    stall = process.stall()
    process.now = 9.0
    stall.heard()
    process.now = 18.0
    assert not stall
    process.now = 19.0
    assert stall


def test_processor_time_is_that_of_the_process(wait_until: Callable[..., None]) -> None:
    here = processor_time(os.getpid())
    wait_until(lambda: here() > 0)
    begin = here()
    until = time.process_time() + 0.1
    wait_until(lambda: sum(range(10_000)) and time.process_time() > until)
    assert here() >= begin + 0.05
    with subprocess.Popen(['true']) as ended:
        ended.wait()
    assert processor_time(ended.pid)() == 0.0
