"""The nuScenes tables, read as far as they are needed. No other module knows their layout.

A dataset folder holds the tables in ``<root>/<version>/*.json`` and the files that they name below ``<root>``. Only
seven tables are read; maps, CAN bus, radar, annotations and the sweeps may be absent. Rows that the chosen scenes do
not need are dropped while the JSON is parsed: one scene of v1.0-trainval takes twice the size of its largest table in
memory, not ten times.

Frames: nuScenes' ego frame is REP-103's ``base_link`` (x forward, y left, z up, on the ground below the rear axle), its
global frame is ``map``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gdfusion_ros.errors import GdfusionError

Row = Mapping[str, Any]
T = TypeVar('T')

NANOSECONDS_PER_MICROSECOND = 1_000


@dataclass(frozen=True)
class Pose:
    """A rigid transform: translation [m] and unit quaternion (x, y, z, w), which is ROS's order, not nuScenes' own."""

    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]


@dataclass(frozen=True)
class Calibration:
    """A mounted sensor.

    ``modality`` is camera, lidar or radar; ``pose`` maps the sensor frame into the ego frame; ``intrinsics`` are the
    nine values of a camera's K, row-major [px], and empty for other sensors.
    """

    channel: str
    modality: str
    pose: Pose
    intrinsics: tuple[float, ...]


@dataclass(frozen=True)
class SensorData:
    """One measurement of one sensor.

    ``stamp`` is the sensor's own [ns], ``ego_pose`` maps the ego frame at that stamp into the global frame. ``width``
    and ``height`` [px] are 0 for what is not an image.
    """

    token: str
    stamp: int
    path: Path
    width: int
    height: int
    calibration: Calibration
    ego_pose: Pose


@dataclass(frozen=True)
class Box:
    """An annotated thing.

    Attributes:
        category: nuScenes' own, e.g. vehicle.bus.rigid.
        instance: Token of the thing, the same in every sample.
        pose: Maps the thing's frame (x forward, y left, z up, origin at the middle) into the global frame.
        size: Width, length, height [m], along y, x, z; the order is nuScenes'.
    """

    category: str
    instance: str
    pose: Pose
    size: tuple[float, float, float]


@dataclass(frozen=True)
class Sample:
    """A key frame.

    ``stamp`` [ns] is LIDAR_TOP's, ``data`` are its measurements by channel, ``boxes`` are read only where asked for.
    """

    token: str
    stamp: int
    data: Mapping[str, SensorData]
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Scene:
    """A drive of about 20 s, its samples in time order. ``log`` is the row of the log table it was cut from.

    ``sweeps`` are the measurements of cameras and LIDAR_TOP between the samples, in time order, read only where asked
    for.
    """

    token: str
    name: str
    description: str
    log: Mapping[str, str]
    samples: tuple[Sample, ...]
    sweeps: tuple[SensorData, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Scenes of one version of nuScenes, e.g. v1.0-mini."""

    root: Path
    version: str
    scenes: tuple[Scene, ...]


def load(root: Path, version: str | None = None, scenes: Sequence[str] = ()) -> Dataset:
    """The key frames of the named scenes (all, where none is named), in the order of the scene table.

    Args:
        root: Folder of the dataset.
        version: Name of the table folder; may be left out where there is only one.
        scenes: Scene names, e.g. scene-0103.

    Raises:
        GdfusionError: no tables or several versions to choose from, an unknown scene, a table that is missing, broken,
            or points to a row that is not there.
    """
    version = _version(root, version)
    tables = _Tables(root / version)
    return Dataset(root, version, tuple(_scenes(root, tables, scenes)))


def _version(root: Path, wanted: str | None) -> str:
    if not root.is_dir():
        raise GdfusionError(f'no folder {root}; expected a nuScenes folder with tables in e.g. {root}/v1.0-mini')
    if (root / 'sample_data.json').is_file():
        raise GdfusionError(f'{root} holds the tables themselves; give the folder above it, {root.resolve().parent}')
    there = sorted(folder.parent.name for folder in root.glob('*/sample_data.json'))
    if not there:
        raise GdfusionError(f'no nuScenes tables in {root}; expected e.g. {root}/v1.0-mini/sample_data.json')
    if wanted is None and len(there) > 1:
        raise GdfusionError(f'several versions in {root}: {", ".join(there)}; choose one with --version')
    if wanted is not None and wanted not in there:
        raise GdfusionError(f"no version '{wanted}' in {root}; there are {', '.join(there)}")
    return wanted or there[0]


class _Tables:
    """Rows of the JSON tables in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, make: Callable[[Row], T | None]) -> dict[str, T]:
        """Token -> ``make(row)`` of table ``name`` in its order; rows for which that is None are dropped."""
        path = self._folder / f'{name}.json'

        def parse(row: dict[str, Any]) -> tuple[str, T] | None:
            try:
                made = make(row)
                return None if made is None else (row['token'], made)
            except KeyError as error:
                raise GdfusionError(f"{path}: row {row.get('token', row)} has no {error}") from error
            except (TypeError, ValueError) as error:
                raise GdfusionError(f"{path}: row {row.get('token', row)}: {error}") from error

        try:
            # The hook sees every row as soon as it is parsed: what is not needed never piles up.
            rows = json.loads(path.read_bytes(), object_hook=parse)
        except OSError as error:
            raise GdfusionError(f'table {path} cannot be read: {error.strerror}') from error
        except ValueError as error:
            raise GdfusionError(f'table {path} is not whole JSON ({error}); fetch it again') from error
        if not isinstance(rows, list) or not all(row is None or isinstance(row, tuple) for row in rows):
            raise GdfusionError(f'table {path} is not a list of rows')
        return dict(row for row in rows if row is not None)

    def find(self, index: Mapping[str, T], token: str, name: str, user: str) -> T:
        """The row ``token`` of table ``name`` that table ``user`` points to."""
        if token not in index:
            raise GdfusionError(f"{self._folder}/{user}.json points to '{token}', which is not in {name}.json")
        return index[token]


def _pose(row: Row) -> Pose:
    """Translation and rotation of a row. Raises ValueError where they are no rigid transform."""
    x, y, z = (float(value) for value in row['translation'])
    qw, qx, qy, qz = (float(value) for value in row['rotation'])
    norm = math.hypot(qw, qx, qy, qz)
    if not math.isfinite(x + y + z) or not abs(norm - 1) < 0.01:
        raise ValueError(f"no rigid transform: translation {row['translation']}, rotation {row['rotation']}")
    return Pose((x, y, z), (qx / norm, qy / norm, qz / norm, qw / norm))


def _calibrations(tables: _Tables) -> dict[str, Calibration]:
    sensors = tables.read('sensor', lambda row: (str(row['channel']), str(row['modality'])))

    def calibration(row: Row) -> Calibration:
        channel, modality = tables.find(sensors, row['sensor_token'], 'sensor', 'calibrated_sensor')
        intrinsics = tuple(float(value) for line in row['camera_intrinsic'] for value in line)
        if modality == 'camera' and len(intrinsics) != 9:
            raise ValueError(f'camera_intrinsic of {channel} is not 3x3: {row["camera_intrinsic"]}')
        return Calibration(channel, modality, _pose(row), intrinsics)

    return tables.read('calibrated_sensor', calibration)


@dataclass(frozen=True)
class _DataRow:
    """A row of sample_data before its poses are known."""

    token: str
    sample: str
    ego_pose: str
    calibration: Calibration
    stamp: int
    filename: str
    width: int
    height: int


def _key_frame_rows(tables: _Tables, samples: Collection[str]) -> list[_DataRow]:
    """The camera and lidar rows of sample_data that are key frames of ``samples``."""
    calibrations = _calibrations(tables)

    def data_row(row: Row) -> _DataRow | None:
        if not row['is_key_frame'] or row['sample_token'] not in samples:
            return None
        token = row['calibrated_sensor_token']
        calibration = tables.find(calibrations, token, 'calibrated_sensor', 'sample_data')
        if calibration.modality == 'radar':
            return None
        return _DataRow(row['token'], row['sample_token'], row['ego_pose_token'], calibration, _stamp(row),
                        str(row['filename']), int(row['width']), int(row['height']))

    return list(tables.read('sample_data', data_row).values())


def _stamp(row: Row) -> int:
    return int(row['timestamp']) * NANOSECONDS_PER_MICROSECOND


def _scenes(root: Path, tables: _Tables, names: Sequence[str]) -> list[Scene]:
    rows = _chosen(tables.read('scene', lambda row: row if row['name'] else None), names)
    logs = tables.read('log', lambda row: {key: str(value) for key, value in row.items()})
    samples = tables.read('sample', lambda row: (row['scene_token'], _stamp(row))
                          if row['scene_token'] in rows else None)
    data: dict[str, dict[str, SensorData]] = {token: {} for token in samples}
    data_rows = _key_frame_rows(tables, samples)
    wanted = {row.ego_pose for row in data_rows}
    poses = tables.read('ego_pose', lambda row: _pose(row) if row['token'] in wanted else None)
    for row in data_rows:
        pose = tables.find(poses, row.ego_pose, 'ego_pose', 'sample_data')
        data[row.sample][row.calibration.channel] = SensorData(
            row.token, row.stamp, root / row.filename, row.width, row.height, row.calibration, pose)

    members: dict[str, list[Sample]] = {token: [] for token in rows}
    for token, (scene, stamp) in samples.items():
        members[scene].append(Sample(token, stamp, data[token]))
    return [Scene(token, row['name'], row['description'], tables.find(logs, row['log_token'], 'log', 'scene'),
                  tuple(sorted(members[token], key=lambda sample: sample.stamp)))
            for token, row in rows.items()]


def _chosen(scenes: Mapping[str, Row], names: Sequence[str]) -> dict[str, Row]:
    """The rows of the named scenes; all of them where none is named."""
    known = [str(row['name']) for row in scenes.values()]
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ', '.join(known[:10]) + (f' and {len(known) - 10} more' if len(known) > 10 else '')
        raise GdfusionError(f'no scene {", ".join(unknown)}; there are {some}')
    return {token: row for token, row in scenes.items() if not names or row['name'] in names}
