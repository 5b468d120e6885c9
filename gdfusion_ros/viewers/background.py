"""Viewers behind a thread of their own: whoever computes the grids waits for none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from gdfusion_ros.viewers.view import View, Viewer


class Background:
    """Shows views to viewers in a thread. One view waits at most, and the newest wins.

    What goes wrong in a viewer is told and costs its view: nobody else has to mind.

    Attributes:
        shown: How many views went to the viewers.
        passed_over: How many were replaced by a newer one while they waited.
    """

    def __init__(self, viewers: Sequence[Viewer], warn: Callable[[str], None]) -> None:
        """Begin; the viewers are closed by ``close``. ``warn`` gets one line and is called in the thread."""
        self.shown = self.passed_over = 0
        self._viewers, self._warn = viewers, warn
        self._changed = threading.Condition()
        self._waiting: Callable[[], View] | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name='viewers', daemon=True)
        self._thread.start()

    def offer(self, make: Callable[[], View]) -> None:
        """Show what ``make`` gives, as soon as the thread comes to it; returns at once."""
        with self._changed:
            self.passed_over += self._waiting is not None
            self._waiting = make
            self._changed.notify()

    def close(self) -> None:
        """End after the view that is being shown; one that waits is given up."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (make := self._next()) is not None:
            try:
                view = make()
                for viewer in self._viewers:
                    viewer.show(view)
                self.shown += 1
            except Exception as error:  # noqa: BLE001 - of libraries that are not needed for anything else
                self._warn(f'a grid is not shown: {type(error).__name__}: {error}')
        for viewer in self._viewers:
            viewer.close()

    def _next(self) -> Callable[[], View] | None:
        """What waits, once something does; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._waiting is not None)
            make, self._waiting = self._waiting, None
            return None if self._ended else make
