"""The end of a process by SIGINT or SIGTERM, at any moment, without a traceback.

The signals are blocked first thing, so they wait instead of interrupting an import, the making of the node or its
destruction, and no handler runs inside foreign code. One thread takes them in when the process is ready for it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

_STOP = {signal.SIGINT, signal.SIGTERM}


def hold() -> None:
    """Keep SIGINT and SIGTERM waiting from now on; to be called before any thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)


def arrived() -> bool:
    """Whether one of them waits already."""
    return bool(signal.sigpending() & _STOP)


def on_stop(action: Callable[[], None]) -> None:
    """Call ``action`` in its own thread when a signal that is held arrives or has arrived."""
    def take() -> None:
        signal.sigwait(_STOP)
        action()

    threading.Thread(target=take, name='signals', daemon=True).start()
