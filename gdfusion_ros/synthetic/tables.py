"""The tables of nuScenes v1.0 for synthetic scenes.

Tokens are hashes of what they name, so that the same recipe gives the same tables. The layout is that of nuScenes'
schema; what a synthetic scene does not have (radar, CAN bus) has no rows.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic.drive import MICROSECONDS, Drive, Shot
from gdfusion_ros.synthetic.recipes import Recipe
from gdfusion_ros.synthetic.rig import LIDAR, OFFSETS
from gdfusion_ros.synthetic.world import WorldObject

Row = dict[str, Any]
Rows = Mapping[str, Sequence[Row]]
"""Table -> its rows."""

_CATEGORIES = {
    'car': 'vehicle.car',
    'truck': 'vehicle.truck',
    'bus': 'vehicle.bus.rigid',
    'trailer': 'vehicle.trailer',
    'construction_vehicle': 'vehicle.construction',
    'motorcycle': 'vehicle.motorcycle',
    'parked_motorcycle': 'vehicle.motorcycle',
    'bicycle': 'vehicle.bicycle',
    'parked_bicycle': 'vehicle.bicycle',
    'pedestrian': 'human.pedestrian.adult',
    'traffic_cone': 'movable_object.trafficcone',
    'barrier': 'movable_object.barrier',
}
"""Kind of object -> nuScenes' category; other kinds get no boxes."""

_ATTRIBUTES = (
    'vehicle.moving',
    'vehicle.stopped',
    'vehicle.parked',
    'cycle.with_rider',
    'cycle.without_rider',
    'pedestrian.moving',
    'pedestrian.standing',
)
_VISIBILITIES = {'1': 'v0-40', '2': 'v40-60', '3': 'v60-80', '4': 'v80-100'}
_BOX_RANGE = 60.0  # [m] from the vehicle that films
_MOVING, _MOVING_SPAN = 0.15, 0.5  # who gets farther than this [m] within so long [s] moves


def shared_rows(recipe: Recipe) -> Rows:
    """The tables that all scenes share."""
    return {
        'category': [
            {'token': token(recipe, 'category', name), 'name': name, 'description': 'made by gdfusion'}
            for name in dict.fromkeys(_CATEGORIES.values())
        ],
        'attribute': [
            {'token': token(recipe, 'attribute', name), 'name': name, 'description': 'made by gdfusion'}
            for name in _ATTRIBUTES
        ],
        'visibility': [
            {'token': level, 'level': name, 'description': f'visibility {name} %'}
            for level, name in _VISIBILITIES.items()
        ],
        'sensor': [
            {
                'token': token(recipe, 'sensor', channel),
                'channel': channel,
                'modality': 'lidar' if channel == LIDAR else 'camera',
            }
            for channel in OFFSETS
        ],
    }


def scene_rows(drive: Drive) -> Rows:
    """The rows of all other tables for one scene."""
    return {
        'log': [_log(drive)],
        'map': [_map(drive)],
        'scene': [_scene(drive)],
        'sample': list(_samples(drive)),
        'calibrated_sensor': list(_calibrations(drive)),
        'ego_pose': [_ego_pose(drive, shot) for shot in drive.shots],
        'sample_data': list(_sample_data(drive)),
        **_annotations(drive),
    }


def write(folder: Path, parts: Iterable[Rows]) -> None:
    """Write every table as JSON, a row a line."""
    tables: dict[str, list[Row]] = defaultdict(list)
    for rows in parts:
        for name, more in rows.items():
            tables[name] += more
    folder.mkdir(parents=True)
    for name, table in tables.items():
        lines = ',\n'.join(json.dumps(row) for row in table)
        (folder / f'{name}.json').write_text(f'[\n{lines}\n]\n' if table else '[]\n')


def token(recipe: Recipe, *names: object) -> str:
    """32 hexadecimal digits that name something in a dataset."""
    text = '/'.join(str(name) for name in (recipe.seed, *names))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def sample_token(drive: Drive, frame: int) -> str:
    """Of a key frame."""
    return token(drive.recipe, 'sample', drive.index, frame)


def filename(drive: Drive, shot: Shot) -> str:
    """Of a measurement, below the dataset's folder."""
    ending = 'pcd.bin' if shot.channel == LIDAR else 'jpg'
    folder = 'samples' if shot.key else 'sweeps'
    return f'{folder}/{shot.channel}/{_logfile(drive)}__{shot.channel}__{shot.stamp}.{ending}'


def map_filename(drive: Drive) -> str:
    """Of the mask of a scene's driveable ground, below the dataset's folder."""
    return f'maps/{token(drive.recipe, "map", drive.index)}.png'


def _logfile(drive: Drive) -> str:
    begin = datetime.fromtimestamp(drive.start / MICROSECONDS, timezone.utc)
    return f'synthetic{drive.recipe.seed}-{begin:%Y-%m-%d-%H-%M-%S}+0000'


def _log(drive: Drive) -> Row:
    begin = datetime.fromtimestamp(drive.start / MICROSECONDS, timezone.utc)
    return {
        'token': token(drive.recipe, 'log', drive.index),
        'logfile': _logfile(drive),
        'vehicle': 'synthetic',
        'date_captured': f'{begin:%Y-%m-%d}',
        'location': 'synthetic',
    }


def _map(drive: Drive) -> Row:
    return {
        'token': token(drive.recipe, 'map', drive.index),
        'category': 'semantic_prior',
        'log_tokens': [token(drive.recipe, 'log', drive.index)],
        'filename': map_filename(drive),
    }


def _scene(drive: Drive) -> Row:
    recipe = drive.recipe
    return {
        'token': token(recipe, 'scene', drive.index),
        'log_token': token(recipe, 'log', drive.index),
        'nbr_samples': recipe.frames,
        'first_sample_token': sample_token(drive, 0),
        'last_sample_token': sample_token(drive, recipe.frames - 1),
        'name': drive.name,
        'description': f'Made by gdfusion: {drive.world.weather}, seed {recipe.seed}, a drive through a town',
    }


def _samples(drive: Drive) -> Iterator[Row]:
    tokens = ['', *(sample_token(drive, frame) for frame in range(drive.recipe.frames)), '']
    for frame, stamp in enumerate(drive.key_stamps.tolist()):
        yield {
            'token': tokens[frame + 1],
            'timestamp': stamp,
            'prev': tokens[frame],
            'next': tokens[frame + 2],
            'scene_token': token(drive.recipe, 'scene', drive.index),
        }


def _calibrations(drive: Drive) -> Iterator[Row]:
    for channel, sensor in drive.rig.sensors.items():
        intrinsics = [] if sensor.intrinsics is None else sensor.intrinsics.tolist()
        yield {
            'token': token(drive.recipe, 'calibration', drive.index, channel),
            'sensor_token': token(drive.recipe, 'sensor', channel),
            **_pose(sensor.ego_from_sensor),
            'camera_intrinsic': intrinsics,
        }


def _ego_pose(drive: Drive, shot: Shot) -> Row:
    return {'token': _data_token(drive, shot), 'timestamp': shot.stamp, **_pose(drive.ego_pose(shot.stamp))}


def _data_token(drive: Drive, shot: Shot) -> str:
    return token(drive.recipe, 'data', drive.index, shot.channel, shot.stamp)


def _sample_data(drive: Drive) -> Iterator[Row]:
    for channel in OFFSETS:
        shots = [shot for shot in drive.shots if shot.channel == channel]
        tokens = ['', *(_data_token(drive, shot) for shot in shots), '']
        image = channel != LIDAR
        for number, shot in enumerate(shots):
            yield {
                'token': tokens[number + 1],
                'sample_token': sample_token(drive, shot.frame),
                'ego_pose_token': tokens[number + 1],
                'calibrated_sensor_token': token(drive.recipe, 'calibration', drive.index, channel),
                'timestamp': shot.stamp,
                'fileformat': 'jpg' if image else 'pcd',
                'is_key_frame': shot.key,
                'height': drive.rig.height if image else 0,
                'width': drive.rig.width if image else 0,
                'filename': filename(drive, shot),
                'prev': tokens[number],
                'next': tokens[number + 2],
            }


def _annotations(drive: Drive) -> Rows:
    """Boxes of the objects near the vehicle at every key frame, and the instances that they show."""
    found: dict[int, list[tuple[int, Row]]] = defaultdict(list)
    for frame, stamp in enumerate(drive.key_stamps.tolist()):
        time = drive.time(stamp)
        ego = drive.world.ego.at(time)
        for number, item in enumerate(drive.world.objects):
            x, y, yaw = item.trajectory.at(time)
            if item.model.kind in _CATEGORIES and math.hypot(x - ego[0], y - ego[1]) < _BOX_RANGE:
                found[number].append((frame, _box(drive, item, time, (x, y, yaw))))
    annotations, instances = [], []
    for number, rows in found.items():
        instance = token(drive.recipe, 'instance', drive.index, number)
        tokens = ['', *(token(drive.recipe, 'annotation', drive.index, number, frame) for frame, _ in rows), '']
        for place, (frame, row) in enumerate(rows):
            annotations.append(
                {
                    'token': tokens[place + 1],
                    'sample_token': sample_token(drive, frame),
                    'instance_token': instance,
                    **row,
                    'prev': tokens[place],
                    'next': tokens[place + 2],
                }
            )
        category = _CATEGORIES[drive.world.objects[number].model.kind]
        instances.append(
            {
                'token': instance,
                'category_token': token(drive.recipe, 'category', category),
                'nbr_annotations': len(rows),
                'first_annotation_token': tokens[1],
                'last_annotation_token': tokens[-2],
            }
        )
    return {'sample_annotation': annotations, 'instance': instances}


def _box(drive: Drive, item: WorldObject, time: float, place: tuple[float, float, float]) -> Row:
    """What an annotation says of one object; everything counts as well visible and as met by one LiDAR point."""
    x, y, yaw = place
    length, width, height = item.model.size
    attributes = [token(drive.recipe, 'attribute', name) for name in _attributes(item, time)]
    return {
        'visibility_token': '4',
        'attribute_tokens': attributes,
        'translation': [x, y, height / 2],
        'size': [width, length, height],
        'rotation': [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)],
        'num_lidar_pts': 1,
        'num_radar_pts': 0,
    }


def _attributes(item: WorldObject, time: float) -> tuple[str, ...]:
    """What nuScenes says of the object's state; nothing of cones and barriers."""
    (x, y, _), (later_x, later_y, _) = item.trajectory.at(time), item.trajectory.at(time + _MOVING_SPAN)
    moving = math.hypot(later_x - x, later_y - y) > _MOVING
    category = _CATEGORIES[item.model.kind]
    if category.startswith('human'):
        return ('pedestrian.moving' if moving else 'pedestrian.standing',)
    if category.endswith('cycle'):
        return ('cycle.without_rider' if item.model.kind.startswith('parked') else 'cycle.with_rider',)
    if category.startswith('vehicle'):
        standing = 'vehicle.parked' if len(item.trajectory.times) == 1 else 'vehicle.stopped'
        return ('vehicle.moving' if moving else standing,)
    return ()


def _pose(matrix: Matrix) -> Row:
    """Translation, and rotation as nuScenes' quaternion (w, x, y, z) with w >= 0."""
    return {'translation': matrix[:3, 3].tolist(), 'rotation': _quaternion(matrix[:3, :3])}


def _quaternion(rotation: Matrix) -> list[float]:
    """(w, x, y, z) of a (3, 3) rotation: the eigenvector of Bar-Itzhack, "New Method for Extracting the Quaternion from
    a Rotation Matrix", 2000."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    matrix = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    vector = np.linalg.eigh(matrix)[1][:, -1]
    return [float(value) for value in vector * (1.0 if vector[0] >= 0 else -1.0)]
