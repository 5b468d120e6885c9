"""Whoever computes grids waits for no viewer."""

from __future__ import annotations

import threading

import numpy as np

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.viewers.background import Background
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization.snapshot import Snapshot


def view(stamp: int) -> View:
    labels = np.zeros((1, 1, 1), np.uint8, order='F')
    return View(
        Snapshot(
            SemanticGrid(
                stamp, 'base_link', (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), labels, None, OCC3D_NUSCENES, 'tiny', 1, (), 0
            )
        )
    )


class Slow:
    """Takes as long for a view as the test wants."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.closed = False
        self.begun, self.may_go_on, self.done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def show(self, view: View) -> None:
        self.stamps.append(view.stamp)
        self.begun.set()
        self.may_go_on.wait()
        self.done.release()

    def close(self) -> None:
        self.closed = True


def test_the_newest_wins_and_nobody_waits() -> None:
    slow, warnings = Slow(), list[str]()
    background = Background([slow], warnings.append)
    background.offer(lambda: view(1))
    slow.begun.wait()
    for stamp in (2, 3, 4):
        background.offer(lambda stamp=stamp: view(stamp))  # type: ignore[misc]
    assert slow.stamps == [1]
    slow.may_go_on.set()
    for _ in range(2):
        slow.done.acquire()
    background.close()
    assert (slow.stamps, slow.closed, background.passed_over, warnings) == ([1, 4], True, 2, [])


def test_what_waits_at_the_end_is_given_up() -> None:
    slow = Slow()
    background = Background([slow], list[str]().append)
    background.offer(lambda: view(1))
    slow.begun.wait()
    background.offer(lambda: view(2))
    threading.Thread(target=slow.may_go_on.set).start()
    background.close()
    assert slow.closed
    assert slow.stamps in ([1], [1, 2])


def fails() -> View:
    raise KeyError('sensor')


def test_a_view_that_fails_is_told_and_costs_only_itself() -> None:
    slow, warnings = Slow(), list[str]()
    slow.may_go_on.set()
    told = threading.Event()
    background = Background([slow], lambda line: (warnings.append(line), told.set())[0])
    background.offer(fails)
    told.wait()
    background.offer(lambda: view(2))
    slow.done.acquire()
    background.close()
    assert slow.stamps == [2]
    assert warnings == ["a grid is not shown: KeyError: 'sensor'"]
