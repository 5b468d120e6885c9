"""Stop signals at moments when they may cut nothing in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running

_STOP = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def starting_processes() -> Iterator[None]:
    """Keep SIGINT and SIGTERM waiting to the end of the block; processes that are started in it inherit them blocked.

    A process that is started half is told so by a traceback. Blocking alone does not keep that away: the signal then
    goes to another thread, and Python raises KeyboardInterrupt in this one all the same.
    """
    arrived: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other one runs handlers
        handlers = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in _STOP}
    ensure_running()  # first: its start unblocks what its caller has blocked
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
