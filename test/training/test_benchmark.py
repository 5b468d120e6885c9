"""``gdfusion benchmark train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gdfusion_ros.cli import main

pytestmark = pytest.mark.usefixtures('tiny_spec')


@pytest.mark.slow
def test_speed_and_waiting_are_told(labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = tmp_path / 'config.yaml', tmp_path / 'speed.json'
    config.write_text(yaml.safe_dump({'model': 'tiny', 'slots': 2, 'workers': 1}))
    arguments = ['benchmark', 'train', '--nuscenes', str(labelled_root), '--frames', '4', '--json', str(out)]
    assert main([*arguments, '--config', str(config), '--device', 'cpu']) == 0
    assert 'tiny on cpu, 2 slots, 1 worker, 4 steps' in capsys.readouterr().out
    numbers = json.loads(out.read_text())
    assert numbers['frames_per_second'] > 0
    assert 0 <= numbers['waiting'] < 1
    out.unlink()
    assert main(arguments) == 1
    assert '--config FILE' in capsys.readouterr().err
