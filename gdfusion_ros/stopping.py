"""Stop signals at moments when they may cut nothing in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running


def stop_signals() -> set[signal.Signals]:
    """What ends a process in order: Ctrl-C, the system, and the terminal that closes, unless ``nohup`` shields it."""
    return {
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }


def leave_to_first_process() -> None:
    """Ignore what a terminal sends to all of its processes: Ctrl-C and that it closes. The first one acts on it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def starting_processes() -> Iterator[None]:
    """Keep stop signals waiting to the end of the block; processes that are started in it inherit them blocked.

    A process that is started half is told so by a traceback. Blocking alone does not keep that away: the signal then
    goes to another thread, and Python raises KeyboardInterrupt in this one all the same.
    """
    arrived: list[int] = []
    stops = stop_signals()
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other one runs handlers
        handlers = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in stops}
    ensure_running()  # first: its start unblocks what its caller has blocked
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
