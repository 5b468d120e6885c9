"""A pool of processes of which none outlives the one that started it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType

from gdfusion_ros.stopping import leave_to_first_process


class ProcessPool(ProcessPoolExecutor):
    """Fresh processes; work in them ends at once when this process is gone, even killed, or a stop ends the block.

    By itself a worker would finish what it was given, and then wait for ever for more.
    """

    def __init__(self, count: int) -> None:
        """Processes start when work comes, ``count`` at most."""
        context = get_context('spawn')
        link, self._life = context.Pipe(duplex=False)
        super().__init__(count, context, _begin, (link,))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the processes; after a stop signal, end them."""
        if kind is KeyboardInterrupt:
            self._life.close()
        super().__exit__(kind, error, traceback)


def _begin(link: Connection) -> None:
    """In a worker: its first process acts on Ctrl-C, and holds the other end of ``link`` for as long as it lives."""
    leave_to_first_process()
    threading.Thread(target=_end_with, args=(link,), name='end', daemon=True).start()


def _end_with(link: Connection) -> None:
    link.poll(None)  # nobody sends anything: this returns when the other end is closed
    os._exit(1)
