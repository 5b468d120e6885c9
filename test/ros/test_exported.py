"""The live node with an exported network, over DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gdfusion_ros.bags.replay import replay
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.settings import PipelineSettings, TopicSettings

NO_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch':
            raise ModuleNotFoundError("No module named 'torch'", name='torch')
sys.meta_path.insert(0, NoTorch())
"""
"""Run by every Python that starts with its folder on the path."""


@pytest.mark.parametrize('torch', [True, False])
def test_live_equals_replay(
    live_with: Any, drive: Path, tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: bool
) -> None:
    if not torch:
        (tmp_path / 'sitecustomize.py').write_text(NO_TORCH)
        monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    replay(drive, tmp_path / 'grids', ExportedNetwork(tiny_export), PipelineSettings(lossless=True), TopicSettings())
    with live_with('--backend', 'onnxruntime', '--weights', str(tiny_export)) as node:
        if not torch:
            assert not any('libtorch' in line for line in Path(f'/proc/{node.process}/maps').read_text().splitlines())
        played = node.play(drive, 3)
        assert len(played.stamps) == 3
        assert played.differences(type(played).of(tmp_path / 'grids')) == []
        assert node.values('network')['device'] == 'CPUExecutionProvider'
