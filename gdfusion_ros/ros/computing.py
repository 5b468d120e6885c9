"""Threads that compute, and that are left alone when the process ends: nobody can tell a compiler to hurry up."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NoReturn, TypeVar

from gdfusion_ros.model.runtime.process import compute_with

_LOOK_UP = 0.05
"""How often one who waits for such a thread looks whether the process shall end [s]."""

T = TypeVar('T')


class StoppedError(Exception):
    """The process ends before something was computed; that is nobody's fault."""


class ComputingThread(threading.Thread):
    """A thread that computes with several threads of OpenMP.

    Each thread that computes keeps OpenMP threads of its own, and where there are more than cores they fall asleep at
    every wait: a third of the speed. So the process's other threads are to have one.
    """

    def __init__(self, work: Callable[[], object], threads: int) -> None:
        """``work`` is what it does, ``threads`` torch's and so OpenMP's number of threads in it."""
        super().__init__(name='occupancy', daemon=True)
        self._work, self._threads = work, threads

    def run(self) -> None:
        """Do the work; called by ``start``."""
        compute_with(self._threads)
        self._work()

    def wait(self, stopped: Callable[[], bool]) -> bool:
        """Wait for its end, but not once ``stopped()`` is true; whether it has ended."""
        while self.is_alive() and not stopped():
            self.join(_LOOK_UP)
        return not self.is_alive()


def computed(work: Callable[[], T], threads: int, stopped: Callable[[], bool]) -> T:
    """The result of ``work``, done in a ComputingThread.

    Raises:
        StoppedError: ``stopped()`` was true before there was a result. The thread is left alone.
        Exception: what ``work`` raises.
    """
    result: Future[T] = Future()

    def fulfil() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised by result()
            result.set_exception(error)

    thread = ComputingThread(fulfil, threads)
    thread.start()
    if not thread.wait(stopped):
        raise StoppedError
    return result.result()


def end_process(exit_code: int) -> NoReturn:
    """End a process that has let go of everything, at once.

    Taking down torch and the compiled kernels piece by piece takes seconds, in which a launch would lose its patience;
    and a ComputingThread that still computes would lose what it computes with.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
