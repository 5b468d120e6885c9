"""What the node itself serves to those who look: a page and Foxglove, while its grids are those of a replay."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

client = pytest.importorskip('websockets.sync.client')
pytest.importorskip('foxglove')


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        return int(taken.getsockname()[1])


def test_grids_are_seen_in_a_browser_and_in_foxglove(live: Any, drive: Path, expected: Any, patience: float) -> None:
    page, foxglove = free_port(), free_port()
    live.configure(page_port=page, foxglove_port=foxglove)
    assert live.play(drive, 3).differences(expected) == []
    with client.connect(f'ws://127.0.0.1:{page}/1', max_size=None) as looking:
        frame = json.loads(looking.recv(timeout=patience))
    assert frame['stamp'].replace('.', '') == str(expected.stamps[-1])
    assert len(frame['images']) == 6
    with client.connect(f'ws://127.0.0.1:{foxglove}', subprotocols=['foxglove.sdk.v1'], max_size=None) as looking:
        topics: set[str] = set()
        while '/occ/voxels' not in topics:
            message = looking.recv(timeout=patience)
            if isinstance(message, str) and json.loads(message)['op'] == 'advertise':
                topics |= {channel['topic'] for channel in json.loads(message)['channels']}
    assert {'/CAM_FRONT/image/compressed', '/CAM_FRONT/camera_info', '/tf', '/diagnostics'} <= topics
