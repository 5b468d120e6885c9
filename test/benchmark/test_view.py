from __future__ import annotations

import pytest

from gdfusion_ros.benchmark import view as benchmark
from gdfusion_ros.benchmark import visibility


def test_every_viewer_that_is_installed_is_measured() -> None:
    pytest.importorskip('websockets')
    pytest.importorskip('foxglove')
    ticks: list[None] = []
    costs = benchmark.run(2, lambda: ticks.append(None))
    assert {'page', 'foxglove'} <= costs.keys()
    assert len(ticks) == 2 * len(costs)
    assert all(cost > 0 for cost in costs.values())


def test_what_the_cameras_saw_is_timed() -> None:
    ticks: list[None] = []
    cost = visibility.run(2, lambda: ticks.append(None))
    assert len(ticks) == 2
    assert cost.seconds > 0
    assert cost.processor > 0
    assert cost.threads >= 1
