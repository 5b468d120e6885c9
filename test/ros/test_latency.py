"""The measurement of the live node: every stage of every frame, and nothing between them."""

from __future__ import annotations

from pathlib import Path

from gdfusion_ros.ros import latency
from gdfusion_ros.ros.process import model_arguments
from gdfusion_ros.ros.timing import STAGES
from gdfusion_ros.settings import ModelSettings


def test_every_stage_of_every_frame_is_measured(drive: Path) -> None:
    model = ModelSettings(model='bevdetocc_gf_small', untrained=True, device='cpu')
    seen: list[None] = []
    stages = latency.run(drive, model_arguments(model), 2, lambda: seen.append(None))
    assert len(seen) == 3, 'one frame more warms up'
    assert tuple(stages) == STAGES
    assert all(len(times) == 2 and (times >= 0).all() for times in stages.values())
    assert (stages['network'] > 10).all()
    assert (stages['queue'] < 200).all(), 'a set does not wait for the one before'
