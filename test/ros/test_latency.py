"""The measurement of the live node: every stage of every frame, and nothing between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gdfusion_ros.benchmark import latency
from gdfusion_ros.ros.player import Player
from gdfusion_ros.ros.timing import STAGES
from gdfusion_ros.settings import ModelSettings, model_arguments


def test_every_stage_of_every_frame_is_measured(drive: Path, monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    model = ModelSettings(model='gdfusion_nano', untrained=True, device='cpu')
    seen: list[str] = []
    played = Player.play

    def play(*arguments: Any) -> None:
        seen.append('set')
        played(*arguments)

    monkeypatch.setattr(latency, '_TIMEOUT', patience)
    monkeypatch.setattr(Player, 'play', play)
    found = latency.run(drive, model_arguments(model), 2, lambda: seen.append('grid'))
    stages = found.stages
    assert found.start > 0
    assert seen == 3 * ['set', 'grid'], 'a set does not wait for the one before; one frame more warms up'
    assert tuple(stages) == STAGES
    assert all(len(times) == 2 and (times >= 0).all() for times in stages.values())
    assert (stages['network'] > 0).all()
