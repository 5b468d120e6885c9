"""Fixtures that every test may use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parent.parent.parent / 'shared'


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of recorded numbers and real nuScenes images beside the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip('no folder "shared" (recordings, real images) beside the checkout')
    return SHARED


@pytest.fixture(scope='session')
def nuscenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made nuScenes folder to read, never to change: scene-0001 and scene-0002, 3 key frames each, 160 x 90 images.

    It has the seven needed tables, six cameras, LIDAR_TOP and a radar without files, and sweep rows without files.
    """
    root = tmp_path_factory.mktemp('nuscenes')
    _MadeNuScenes(root).write('v1.0-made')
    return root


class _MadeNuScenes:
    """A car that drives 5 m/s through a left bend; cameras look round it, stamped as nuScenes does."""

    CAMERAS: ClassVar = {'CAM_FRONT_LEFT': (55, -43_300), 'CAM_FRONT': (0, -35_700), 'CAM_FRONT_RIGHT': (-55, -27_800),
                         'CAM_BACK_RIGHT': (-110, -20_200), 'CAM_BACK': (180, -10_600), 'CAM_BACK_LEFT': (110, -800)}
    START, PERIOD = 1_600_000_000_000_000, 500_000

    def __init__(self, root: Path) -> None:
        self.root = root
        self.random = np.random.default_rng(1)
        channels = {**dict.fromkeys(self.CAMERAS, 'camera'), 'LIDAR_TOP': 'lidar', 'RADAR_FRONT': 'radar'}
        self.tables: dict[str, list[dict[str, object]]] = {
            'sensor': [{'token': f'sensor-{channel}', 'channel': channel, 'modality': modality}
                       for channel, modality in channels.items()],
            **{name: [] for name in ('log', 'scene', 'sample', 'sample_data', 'calibrated_sensor', 'ego_pose')}}

    def write(self, version: str) -> None:
        for number in (1, 2):
            self.add_scene(f'scene-{number:04d}', self.START + number * 60_000_000)
        (self.root / version).mkdir()
        for name, rows in self.tables.items():
            (self.root / version / f'{name}.json').write_text(json.dumps(rows))

    def add_scene(self, name: str, start: int) -> None:
        self.tables['log'].append({'token': f'log-{name}', 'logfile': f'log of {name}', 'vehicle': 'n001',
                                   'date_captured': '2020-09-13', 'location': 'nowhere'})
        self.tables['scene'].append({'token': f'token-{name}', 'name': name, 'description': 'A left bend',
                                     'log_token': f'log-{name}', 'nbr_samples': 3})
        for sensor in self.tables['sensor']:
            self.add_calibration(name, str(sensor['channel']))
        for index in reversed(range(3)):  # tables need not be in time order
            sample, stamp = f'sample-{name}-{index}', start + index * self.PERIOD
            self.tables['sample'].append({'token': sample, 'timestamp': stamp, 'scene_token': f'token-{name}'})
            for camera, (_, offset) in self.CAMERAS.items():
                self.add_data(name, sample, camera, stamp + offset, width=160, height=90)
            self.add_data(name, sample, 'CAM_FRONT', stamp + 47_600, key_frame=False, width=160, height=90)
            self.add_data(name, sample, 'LIDAR_TOP', stamp)
            self.add_data(name, sample, 'RADAR_FRONT', stamp + 10_000)

    def add_calibration(self, scene: str, channel: str) -> None:
        yaw = np.deg2rad(self.CAMERAS.get(channel, (0, 0))[0])
        c, s = np.cos(yaw / 2) / 2, np.sin(yaw / 2) / 2
        camera = channel in self.CAMERAS
        self.tables['calibrated_sensor'].append({
            'token': f'calibration-{scene}-{channel}', 'sensor_token': f'sensor-{channel}',
            'translation': [float(np.cos(yaw)), float(np.sin(yaw)), 1.5],
            'rotation': [c + s, -c - s, c - s, s - c] if camera else [1.0, 0.0, 0.0, 0.0],
            'camera_intrinsic': [[126.0, 0.0, 80.0], [0.0, 126.0, 45.0], [0.0, 0.0, 1.0]] if camera else []})

    def add_data(self, scene: str, sample: str, channel: str, stamp: int, *, key_frame: bool = True,
                 width: int = 0, height: int = 0) -> None:
        token, path = f'{scene}-{channel}-{stamp}', f'samples/{channel}/{stamp}.jpg'
        seconds = (stamp - self.START + 1_000_000) / 1e6 % 60  # since one second before the scene's first sample
        self.tables['ego_pose'].append({
            'token': f'pose-{token}', 'timestamp': stamp, 'translation': [100 + 5 * seconds, 200 + seconds ** 2, 0.0],
            'rotation': [float(np.cos(0.05 * seconds)), 0.0, 0.0, float(np.sin(0.05 * seconds))]})
        self.tables['sample_data'].append({
            'token': token, 'sample_token': sample, 'ego_pose_token': f'pose-{token}',
            'calibrated_sensor_token': f'calibration-{scene}-{channel}', 'timestamp': stamp, 'is_key_frame': key_frame,
            'width': width, 'height': height, 'filename': path})
        if width and key_frame:
            pixels = self.random.integers(0, 256, (9, 16, 3), np.uint8)
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((width, height)).save(self.root / path, quality=90)
