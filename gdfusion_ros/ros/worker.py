"""The one thread that computes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.exceptions import InvalidHandle

from gdfusion_ros.errors import GdfusionError, RepeatedError
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.estimator import OccupancyEstimator
from gdfusion_ros.perception.faults import Faults
from gdfusion_ros.perception.types import PosedSet, SemanticGrid
from gdfusion_ros.ros.computing import ComputingThread

_LOOK_UP = 0.1
"""How often the thread looks whether it shall stop, and is idle, while nothing is there to do [s]."""

_TAKEN_IN_LOOK_UP = 0.005

TAKEN_IN_WITHIN = 15.0
"""How long the thread waits for what it handed on to be taken in [s]. After 20 s without a sign of life DDS drops a
subscriber, and there would be nobody to name any more."""


@dataclass(frozen=True)
class WorkerListener:
    """Who is told what the thread does; all is called in the thread.

    Attributes:
        grid: gets the set, the monotonic time [s] at which it was taken, and its grid.
        refusal: gets the error of a set that could not be used.
        failure: told that the thread ends, by errors that nobody expected in several sets in a row; the traceback of
            the last one is printed.
        taken_in: whether all that ``grid`` gave out has arrived; the next set waits for that.
        hung: told that it did not arrive in time; until it has, no set waits any more.
        idle: called about ten times a second while there is no set.
    """

    grid: Callable[[PosedSet, float, SemanticGrid], None]
    refusal: Callable[[GdfusionError], None]
    failure: Callable[[], None]
    taken_in: Callable[[], bool] = lambda: True
    hung: Callable[[], None] = lambda: None
    idle: Callable[[], None] = lambda: None


class Worker:
    """Takes sets from the assembler, runs the estimator on them and hands the grids on."""

    def __init__(
        self,
        assembler: FrameAssembler,
        estimator: OccupancyEstimator,
        threads: int,
        listener: WorkerListener,
        patience: float = TAKEN_IN_WITHIN,
    ) -> None:
        """Ready to ``start``.

        Args:
            assembler: Gives the sets.
            estimator: Used by this thread alone.
            threads: Those of the ComputingThread.
            listener: Gets the grids, and is told of the rest.
            patience: How long what was given out may take to arrive [s].
        """
        self._assembler = assembler
        self._estimator = estimator
        self._faults = Faults(assembler.counters)
        self._listener, self._patience = listener, patience
        self._hung = False
        self._stop = threading.Event()
        self._thread = ComputingThread(self._run, threads)

    def start(self) -> None:
        """Begin. A worker runs once."""
        self._thread.start()

    def stop(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """End after the frame that is being computed, and wait for that, but not once ``stopped()`` is true."""
        self._stop.set()
        self._thread.wait(stopped)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._assembler.wait(_LOOK_UP):
                    self._work_off()
                else:
                    self._idle()
        except BaseException as error:
            if isinstance(error, InvalidHandle) and self._stop.is_set():
                return  # this frame was not waited for, and the publishers are gone
            self._listener.failure()
            raise

    def _may_go_on(self) -> bool:
        """Wait until what was handed on is taken in, or its taker seems to hang; False if the thread shall stop."""
        deadline = time.monotonic() + self._patience
        while not (arrived := self._listener.taken_in()) and not self._hung and not self._stop.is_set():
            if time.monotonic() > deadline:
                self._hung = True
                self._listener.hung()
            self._stop.wait(_TAKEN_IN_LOOK_UP)
        self._hung = self._hung and not arrived
        return not self._stop.is_set()

    def _idle(self) -> None:
        try:
            self._listener.idle()
        except GdfusionError as error:
            self._listener.refusal(error)

    def _work_off(self) -> None:
        while self._may_go_on() and (posed := self._assembler.take()) is not None:
            taken = time.monotonic()
            try:
                with self._faults.cost_a_set(posed.camera_set.stamp):
                    self._listener.grid(posed, taken, self._estimator.process(posed))
            except RepeatedError:
                raise
            except GdfusionError as error:
                self._listener.refusal(error)
