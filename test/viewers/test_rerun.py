"""Logs for Rerun, read back. Rerun needs numpy 2, which nuscenes-devkit cannot have: both lie in a folder of their own
(make setup), in front of what the environment has, in a process of their own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

RERUN = Path(sys.prefix) / 'rerun'

LOG = """
import sys
from pathlib import Path
import numpy as np
from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.viewers.rerun import to_file
from gdfusion_ros.viewers.view import PlacedCamera, View
from gdfusion_ros.visualization.snapshot import Snapshot

log = to_file(Path(sys.argv[1]))
for number in range(2):
    labels = np.full((5, 4, 3), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[number, 1, 0] = labels[3, 2, 2] = 4
    labels[0, 0, 1] = 255
    grid = SemanticGrid(10**18 + number, 'base_link', (-1.0, -2.0, 0.5), (0.4, 0.5, 0.6), labels, None, OCC3D_NUSCENES,
                        'tiny', 1, ('CAM_FRONT',), 0)
    camera = PlacedCamera(np.diag([100.0, 100.0, 1.0]), pose_matrix((1.0, 2.0, 3.0), (0.0, 0.0, 0.0, 1.0)))
    images = {'CAM_FRONT': np.zeros((9, 16, 3), np.uint8)}
    log.show(View(Snapshot(grid, images=images), {'CAM_FRONT': camera}, 'map',
                  pose_matrix((10.0 + number, 20.0, 0.0), (0.0, 0.0, 0.0, 1.0)), {'mIoU [%]': 12.5 + number},
                  (Status('occ: network', 1, 'untrained', {}),)))
log.close()
"""

TO_VIEWER = """
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.viewers.rerun import to_viewer

try:
    to_viewer().close()
except GdfusionError as error:
    print(error)
"""

READ = """
import json, sys
import rerun.chunk

content = {}
for chunk in rerun.chunk.RrdReader(sys.argv[1]).stream():
    batch = chunk.to_record_batch()
    for name in batch.schema.names:
        if ':' in name or name == 'stamp':
            values = batch[name].cast('int64') if name == 'stamp' else batch[name]
            content.setdefault(str(chunk.entity_path), {}).setdefault(name, []).extend(values.to_pylist())
print(json.dumps(content, default=str))
"""


def process(script: str, *arguments: str | Path, without: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """``script``, run with Rerun to import and without some variables of the environment."""
    result = subprocess.run(
        [sys.executable, '-c', script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key not in without} | {'PYTHONPATH': str(RERUN)},
    )
    assert result.returncode == 0, result.stderr
    return result


def run(script: str, *arguments: str | Path) -> str:
    """What ``script`` prints, which nothing warns of."""
    result = process(script, *arguments)
    assert 'WARN' not in result.stderr, result.stderr
    return result.stdout


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[Any]]]:
    """By entity, by component: what was logged, in the order of time."""
    if not RERUN.is_dir():
        pytest.skip('no rerun-sdk beside the environment (make setup)')
    path = tmp_path_factory.mktemp('rerun') / 'drive.rrd'
    run(LOG, path)
    return dict(json.loads(run(READ, path)))


def test_a_viewer_that_cannot_start_is_one_line() -> None:
    """Without a screen. A viewer that runs already would be taken."""
    if not RERUN.is_dir():
        pytest.skip('no rerun-sdk beside the environment (make setup)')
    with closing(socket.socket()) as probe:
        if probe.connect_ex(('127.0.0.1', 9876)) == 0:
            pytest.skip("a viewer of Rerun's runs on this machine")
    said = process(TO_VIEWER, without=('DISPLAY', 'WAYLAND_DISPLAY', 'WAYLAND_SOCKET')).stdout
    assert re.fullmatch(r"(Rerun's viewer does not start here; '--rerun FILE' writes|Rerun did not get all) .*\n", said)


def component(entity: dict[str, list[Any]], name: str) -> list[Any]:
    (key,) = (column for column in entity if column.endswith(f':{name}'))
    return entity[key]


def test_every_class_has_its_voxels(recording: dict[str, dict[str, list[Any]]]) -> None:
    cars = recording['/world/vehicle/voxels/car']
    assert component(cars, 'voxel_indices') == [[[0, 1, 0], [3, 2, 2]], [[1, 1, 0], [3, 2, 2]]]
    assert component(cars, 'translation')[0] == [[-1.0, -2.0, 0.5]]
    assert component(cars, 'colors')[0] == [0x0096F5FF] * 2
    assert cars['stamp'] == [10**18, 10**18 + 1]
    assert component(recording['/world/vehicle/voxels/bus'], 'voxel_indices') == [[], []]


def test_the_vehicle_moves_and_its_camera_sees(recording: dict[str, dict[str, list[Any]]]) -> None:
    assert component(recording['/world/vehicle'], 'translation') == [[[10.0, 20.0, 0.0]], [[11.0, 20.0, 0.0]]]
    camera = recording['/world/vehicle/CAM_FRONT']
    assert component(camera, 'resolution')[0] == [[16.0, 9.0]]
    assert component(recording['/world/vehicle/CAM_FRONT/image'], 'media_type')[0] == ['image/jpeg']


def test_numbers_and_diagnostics_run_over_time(recording: dict[str, dict[str, list[Any]]]) -> None:
    assert component(recording['/numbers/mIoU\\ \\[\\%\\]'], 'scalars') == [[12.5], [13.5]]
    assert component(recording['/diagnostics/occ\\:\\ network'], 'text') == [['untrained'], ['untrained']]
