"""The end of a process by SIGINT, SIGTERM or SIGHUP, at any moment, without a traceback.

The signals are blocked, so that they interrupt no import and no foreign code; one thread takes the first of them in.
"""

from __future__ import annotations

import os
import signal
import threading

from gdfusion_ros.stopping import stop_signals


class StopRequest:
    """Whether the process shall end.

    Until ``defer`` is called there is nothing to be undone, and a signal ends the process at once, with exit code 0.

    Attributes:
        event: Set when it shall.
    """

    def __init__(self) -> None:
        """Block the signals in this thread and those that it will start; to be made before any is started."""
        self.event = threading.Event()
        self._deferred = False
        self._lock = threading.Lock()
        signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
        threading.Thread(target=self._take, name='signals', daemon=True).start()

    def defer(self) -> None:
        """From now on a signal sets ``event`` and nothing else."""
        with self._lock:
            self._deferred = True

    def _take(self) -> None:
        signal.sigwait(stop_signals())
        with self._lock:
            if not self._deferred:
                os._exit(0)
            self.event.set()
