"""The live node with an exported network, over DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gdfusion_ros.bags.replay import replay
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.settings import PipelineSettings, TopicSettings


def test_live_equals_replay(live_with: Any, drive: Path, tiny_export: Path, tmp_path: Path) -> None:
    replay(drive, tmp_path / 'grids', ExportedNetwork(tiny_export), PipelineSettings(lossless=True), TopicSettings())
    with live_with('--backend', 'onnxruntime', '--weights', str(tiny_export)) as node:
        played = node.play(drive, 3)
        assert len(played.stamps) == 3
        assert played.differences(type(played).of(tmp_path / 'grids')) == []
        assert node.values('network')['device'] == 'CPUExecutionProvider'
