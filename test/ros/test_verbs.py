"""From nothing to grids by the verbs alone, each a process of its own, as a user goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from gdfusion_ros.ros import environment

FRAMES = 3


def run(verb: str, *arguments: str | Path) -> None:
    result = subprocess.run(
        [sys.executable, '-m', 'gdfusion_ros', verb, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment.for_child(),
    )
    assert result.returncode == 0, result.stderr


def test_a_made_drive_played_to_the_node_gives_the_grids_of_its_replay(live: Any, tmp_path: Path) -> None:
    bag, grids = tmp_path / 'bags' / 'scene-0001', tmp_path / 'grids'
    run(
        'synthesize',
        tmp_path / 'made',
        '--scenes',
        '1',
        '--frames',
        str(FRAMES),
        '--resolution',
        '176x64',
        '--weather',
        'overcast',
    )
    run('convert', tmp_path / 'made', '--out', bag.parent)
    run('replay', bag, '--out', grids, '--untrained', '--model', 'bevdetocc_gf_small', '--device', 'cpu')
    live.configure(model='bevdetocc_gf_small')
    played = live.record(lambda: run('play', bag, '--wait', '600'), FRAMES)
    assert len(played.stamps) == FRAMES
    assert played.differences(type(played).of(grids)) == []
