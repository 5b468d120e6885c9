"""Standard streams that are not there, or that nobody reads any more, as of ``gdfusion info BAG | head``."""

from __future__ import annotations

import os
import select
import sys


def open_missing() -> None:
    """Open nothing in the place of standard streams that are closed (``gdfusion info BAG >&-``).

    Else Python has None there, and the first file that is opened takes their number: a library that prints writes into
    it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for number, name in enumerate(('stdin', 'stdout', 'stderr')):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, 'w' if number else 'r', closefd=False))


def silence_unread() -> bool:
    """Send standard output and error nowhere if their reader has gone; whether one has."""
    gone = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_unread(stream.fileno())]
    for descriptor in gone:
        # What is still in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(gone)


def _is_unread(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
