"""A measurement in a process of its own: a process's peak of memory does not fall again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import ParamSpec, TypeVar

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.process_pool import ProcessPool

P = ParamSpec('P')
T = TypeVar('T')


def alone(what: str, measure: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``measure(*args, **kwargs)`` in a fresh process.

    Raises:
        GdfusionError: the process that measured ``what`` was ended from outside; or what ``measure`` raises.
    """
    with ProcessPool(1) as pool:
        try:
            return pool.submit(measure, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise GdfusionError(f'the process that measured {what} was ended: is there enough memory?') from error


def peak_memory() -> int:
    """Most bytes of memory that this process ever had. (ru_maxrss would count what its parent had.)"""
    status = Path('/proc/self/status').read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith('VmHWM:'))
    return int(kilobytes) * 1024
