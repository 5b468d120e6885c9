"""Tables of the size of nuScenes v1.0-trainval, to measure the reader with: every field, synthetic values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

Row = dict[str, object]

VERSION = 'v1.0-trainval'
SCENES, SAMPLES, INSTANCES, ANNOTATIONS = 850, 34_149, 64_386, 1_166_187
"""Rows of v1.0-trainval."""
SENSORS = {
    **dict.fromkeys(
        ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_FRONT_LEFT'), ('camera', 6)
    ),
    'LIDAR_TOP': ('lidar', 10),
    **dict.fromkeys(
        ('RADAR_FRONT', 'RADAR_FRONT_LEFT', 'RADAR_FRONT_RIGHT', 'RADAR_BACK_LEFT', 'RADAR_BACK_RIGHT'), ('radar', 7)
    ),
}
"""Channel -> modality and measurements a sample, rounded up: they come 12, 20 and 13 times a second."""

_START, _PERIOD = 1_532_402_927_647_951, 500_000  # of samples [µs]
_FORMATS = {'camera': 'jpg', 'lidar': 'pcd', 'radar': 'pcd'}
_INTRINSIC = [
    [1266.417203046554, 0.0, 816.2670197447984],
    [0.0, 1266.417203046554, 491.50706579294757],
    [0.0, 0.0, 1.0],
]
_ROTATION = [0.5077241387638071, -0.4973392230703816, 0.49837167536166627, -0.4964832014373754]


class Counts(NamedTuple):
    """Rows of the large tables."""

    scenes: int
    sample_data: int
    annotations: int


def write(root: Path, share: float) -> Counts:
    """Write the tables of a ``share`` of the scenes, each with as many rows as in the whole, below ``root``."""
    folder = root / VERSION
    folder.mkdir(parents=True)
    scenes = max(1, round(SCENES * share))
    samples, instances = (round(number * scenes / SCENES) for number in (SAMPLES, INSTANCES))
    channels: list[Row] = [
        {'token': _token('sensor', channel), 'channel': channel, 'modality': modality}
        for channel, (modality, _) in SENSORS.items()
    ]
    logs: list[Row] = [
        {
            'token': _token('log', 0),
            'logfile': 'n015-2018-07-24-11-22-45+0800',
            'vehicle': 'n015',
            'date_captured': '2018-07-24',
            'location': 'singapore-onenorth',
        }
    ]
    categories: list[Row] = [{'token': _token('category', 0), 'name': 'vehicle.car', 'description': 'A car.'}]
    for name, rows in (
        ('sensor', channels),
        ('log', logs),
        ('category', categories),
        ('calibrated_sensor', _calibrations(scenes)),
        ('scene', _scenes(scenes)),
        ('sample', _samples(samples, scenes)),
        ('instance', _instances(instances)),
        ('ego_pose', _ego_poses(samples)),
    ):
        _write(folder / f'{name}.json', rows)
    annotations = _annotations(round(ANNOTATIONS * scenes / SCENES), samples, instances)
    return Counts(
        scenes,
        _write(folder / 'sample_data.json', _sample_data(samples, scenes)),
        _write(folder / 'sample_annotation.json', annotations),
    )


def _write(path: Path, rows: Iterable[Row]) -> int:
    """Write a table, one value a line as nuScenes has them; the number of its rows."""
    count = 0
    with path.open('wb') as file:
        for count, row in enumerate(rows, 1):
            file.write(b',\n' if count > 1 else b'[\n')
            file.write(msgspec.json.format(msgspec.json.encode(row), indent=1))
        file.write(b'\n]')
    return count


def _token(table: str, name: object) -> str:
    return hashlib.md5(f'{table} {name}'.encode(), usedforsecurity=False).hexdigest()


def _calibrations(scenes: int) -> Iterator[Row]:
    for scene in range(scenes):
        for channel, (modality, _) in SENSORS.items():
            yield {
                'token': _token(channel, scene),
                'sensor_token': _token('sensor', channel),
                'translation': [1.72200568478, 0.00475453292289, 1.49491291905],
                'rotation': _ROTATION,
                'camera_intrinsic': _INTRINSIC if modality == 'camera' else [],
            }


def _scenes(scenes: int) -> Iterator[Row]:
    for scene in range(scenes):
        yield {
            'token': _token('scene', scene),
            'log_token': _token('log', 0),
            'nbr_samples': SAMPLES // SCENES,
            'first_sample_token': '',
            'last_sample_token': '',
            'name': f'scene-{scene:04d}',
            'description': 'Many peds right, wait for turning car, long bike rack left, cyclist',
        }


def _samples(samples: int, scenes: int) -> Iterator[Row]:
    for sample in range(samples):
        yield {
            'token': _token('sample', sample),
            'timestamp': _START + sample * _PERIOD,
            'prev': _token('sample', sample - 1),
            'next': _token('sample', sample + 1),
            'scene_token': _token('scene', sample * scenes // samples),
        }


def _measurements(samples: int) -> Iterator[tuple[int, str, int, int, str]]:
    """Sample, channel, number within the sample, timestamp [µs] and token of every measurement."""
    for sample in range(samples):
        for channel, (_, count) in SENSORS.items():
            for number in range(count):
                stamp = _START + sample * _PERIOD + number * _PERIOD // count
                yield sample, channel, number, stamp, _token(channel, stamp)


def _ego_poses(samples: int) -> Iterator[Row]:
    for sample, _, number, stamp, token in _measurements(samples):
        yield {
            'token': token,
            'timestamp': stamp,
            'rotation': [0.968787611388952, 0.004506968087358244, 0.007922722210415808, -0.2477246086498573],
            'translation': [599.8497483199196 + sample / 7, 1647.6410924496226 + number / 3, 0.0],
        }


def _sample_data(samples: int, scenes: int) -> Iterator[Row]:
    for sample, channel, number, stamp, token in _measurements(samples):
        modality, _ = SENSORS[channel]
        kind = _FORMATS[modality]
        yield {
            'token': token,
            'sample_token': _token('sample', sample),
            'ego_pose_token': token,
            'calibrated_sensor_token': _token(channel, sample * scenes // samples),
            'timestamp': stamp,
            'fileformat': kind,
            'is_key_frame': number == 0,
            'height': 900 if kind == 'jpg' else 0,
            'width': 1600 if kind == 'jpg' else 0,
            'filename': f'{"sweeps" if number else "samples"}/{channel}/n015-2018-07-24-11-22-45+0800__{channel}'
            f'__{stamp}.{kind}',
            'prev': token,
            'next': token,
        }


def _instances(instances: int) -> Iterator[Row]:
    for instance in range(instances):
        yield {
            'token': _token('instance', instance),
            'category_token': _token('category', 0),
            'nbr_annotations': ANNOTATIONS // INSTANCES,
            'first_annotation_token': '',
            'last_annotation_token': '',
        }


def _annotations(annotations: int, samples: int, instances: int) -> Iterator[Row]:
    for annotation in range(annotations):
        yield {
            'token': _token('annotation', annotation),
            'sample_token': _token('sample', annotation % samples),
            'instance_token': _token('instance', annotation % instances),
            'visibility_token': '4',
            'attribute_tokens': [_token('attribute', annotation % 8)],
            'translation': [373.2146950500363 + annotation / 9, 1130.419152936364 - annotation / 11, 0.8],
            'size': [0.6209999918937683, 0.6470000147819519, 1.777999997138977],
            'rotation': [0.9831098797903927, 0.0, 0.0, -0.18301629506281616],
            'prev': '',
            'next': _token('annotation', annotation + 1),
            'num_lidar_pts': 1,
            'num_radar_pts': 0,
        }
