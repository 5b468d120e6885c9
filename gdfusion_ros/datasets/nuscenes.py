"""The nuScenes tables, read as far as they are needed. No other module knows their layout.

A dataset folder holds the tables in ``<root>/<version>/*.json`` and the files that they name below ``<root>``. Seven
tables are read, three more where annotations are asked for; maps, CAN bus, radar and the sweeps may be absent. What the
chosen scenes do not need is dropped while it is read (see tables.py).

Frames: nuScenes' ego frame is REP-103's ``base_link`` (x forward, y left, z up, on the ground below the rear axle), its
global frame is ``map``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gdfusion_ros.datasets.scene_names import chosen
from gdfusion_ros.datasets.tables import Row, Tables
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import Matrix

NANOSECONDS_PER_MICROSECOND = 1_000

SYNTHETIC = 'v1.0-synthetic'
"""Version of datasets that gdfusion synthesize makes."""

# Of poses, measurements and boxes there are millions: structs take less than dataclasses, and the garbage collector
# leaves them alone.


class Pose(msgspec.Struct, frozen=True, gc=False):
    """A rigid transform: translation [m] and unit quaternion (x, y, z, w), which is ROS's order, not nuScenes' own."""

    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]

    def matrix(self) -> Matrix:
        """(4, 4) of the transform."""
        return pose_matrix(self.translation, self.rotation)


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


class SensorData(msgspec.Struct, frozen=True, gc=False):
    """One measurement of one sensor.

    ``stamp`` is the sensor's own [ns], ``filename`` is below the dataset's ``root``, ``ego_pose`` maps the ego frame at
    that stamp into the global frame. ``width`` and ``height`` [px] are 0 for what is not an image.
    """

    token: str
    stamp: int
    root: Path
    filename: str
    width: int
    height: int
    calibration: Calibration
    ego_pose: Pose

    @property
    def path(self) -> Path:
        """The file with what was measured."""
        return self.root / self.filename


class Box(msgspec.Struct, frozen=True, gc=False):
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


_Microseconds = Annotated[int, Meta(ge=0, lt=10 ** 6 << 31)]
"""Of a ROS stamp, whose seconds have 31 bits."""
_Pixels = Annotated[int, Meta(ge=0, lt=1 << 32)]


class _SceneRow(Row):
    name: Annotated[str, Meta(pattern=r'^\w[\w-]*$')]  # it names a folder
    description: str
    log_token: str


class _LogRow(Row):
    logfile: str = ''
    vehicle: str = ''
    date_captured: str = ''
    location: str = ''

    @property
    def facts(self) -> dict[str, str]:
        """What it says of the drive."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if name != 'token'}


class _SampleRow(Row):
    timestamp: _Microseconds
    scene_token: str

    @property
    def stamp(self) -> int:
        """In nanoseconds."""
        return self.timestamp * NANOSECONDS_PER_MICROSECOND


class _SensorRow(Row):
    channel: Annotated[str, Meta(pattern='^[A-Za-z][A-Za-z0-9_]*$')]  # it names topics and a TF frame
    modality: str


class _PoseRow(Row):
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]  # w, x, y, z

    @property
    def pose(self) -> Pose:
        """In ROS's order. Raises ValueError where the rotation is none."""
        w, x, y, z = self.rotation
        norm = math.hypot(w, x, y, z)
        if abs(norm - 1) > 0.01:
            raise ValueError(f'no rotation: {self.rotation}')
        return Pose(self.translation, (x / norm, y / norm, z / norm, w / norm))


class _CalibrationRow(_PoseRow):
    sensor_token: str
    camera_intrinsic: list[list[float]]


class _DataRow(Row):
    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: _Microseconds
    is_key_frame: bool
    filename: str
    width: _Pixels
    height: _Pixels


class _InstanceRow(Row):
    category_token: str


class _CategoryRow(Row):
    name: str


class _AnnotationRow(_PoseRow):
    sample_token: str
    instance_token: str
    size: tuple[float, float, float]


def load(root: Path, version: str | None = None, scenes: Sequence[str] = (), *, sweeps: bool = False,
         annotations: bool = False) -> Dataset:
    """The key frames of the chosen scenes (all, where none is named), in the order of the scene table.

    Args:
        root: Folder of the dataset.
        version: Name of the table folder; may be left out where there is only one.
        scenes: Scene names, ranges scene-0001..scene-0010, or official splits (see scene_names.py).
        sweeps: Read what cameras and LIDAR_TOP measured between the key frames as well.
        annotations: Read the annotated boxes as well.

    Raises:
        GdfusionError: no tables or several versions to choose from, an unknown scene, a table that is missing, broken,
            or points to a row that is not there.
    """
    version = _version(root, version)
    tables = Tables(root / version)
    chosen_scenes = _chosen_scenes(tables, scenes)
    logs = tables.read('log', _LogRow, lambda row: row)
    samples = tables.read('sample', _SampleRow, lambda row: row if row.scene_token in chosen_scenes else None)
    key_frames: dict[str, dict[str, SensorData]] = {token: {} for token in samples}
    between: dict[str, list[SensorData]] = {token: [] for token in chosen_scenes}
    for row, data in _measurements(root, tables, samples, sweeps=sweeps):
        if row.is_key_frame:
            key_frames[row.sample_token][data.calibration.channel] = data
        else:
            between[samples[row.sample_token].scene_token].append(data)
    boxes = _boxes(tables, samples) if annotations else {}
    members: dict[str, list[Sample]] = {token: [] for token in chosen_scenes}
    for token, sample in samples.items():
        members[sample.scene_token].append(
            Sample(token, sample.stamp, key_frames[token], tuple(boxes.get(token, ()))))
    by_stamp = attrgetter('stamp')
    return Dataset(root, version, tuple(
        Scene(token, row.name, row.description, tables.find(logs, row.log_token, 'log', 'scene').facts,
              tuple(sorted(members[token], key=by_stamp)), tuple(sorted(between[token], key=by_stamp)))
        for token, row in chosen_scenes.items()))


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


def _chosen_scenes(tables: Tables, names: Sequence[str]) -> dict[str, _SceneRow]:
    rows = tables.read('scene', _SceneRow, lambda row: row)
    wanted = chosen(names, [row.name for row in rows.values()])
    return {token: row for token, row in rows.items() if row.name in wanted}


def _calibrations(tables: Tables) -> dict[str, Calibration]:
    sensors = tables.read('sensor', _SensorRow, lambda row: row)

    def calibration(row: _CalibrationRow) -> Calibration:
        sensor = tables.find(sensors, row.sensor_token, 'sensor', 'calibrated_sensor')
        intrinsics = tuple(value for line in row.camera_intrinsic for value in line)
        if sensor.modality == 'camera' and len(intrinsics) != 9:
            raise ValueError(f'camera_intrinsic of {sensor.channel} is not 3x3: {row.camera_intrinsic}')
        return Calibration(sensor.channel, sensor.modality, row.pose, intrinsics)

    return tables.read('calibrated_sensor', _CalibrationRow, calibration)


def _measurements(root: Path, tables: Tables, samples: Mapping[str, _SampleRow], *,
                  sweeps: bool) -> Iterator[tuple[_DataRow, SensorData]]:
    """What cameras and LiDAR measured for ``samples``; between them only where ``sweeps`` is set."""
    calibrations = _calibrations(tables)

    def wanted(row: _DataRow) -> _DataRow | None:
        if row.sample_token not in samples or not (row.is_key_frame or sweeps):
            return None
        token = row.calibrated_sensor_token
        calibration = tables.find(calibrations, token, 'calibrated_sensor', 'sample_data')
        return None if calibration.modality == 'radar' else row

    rows = tables.read('sample_data', _DataRow, wanted)
    needed = {row.ego_pose_token for row in rows.values()}
    poses = tables.read('ego_pose', _PoseRow, lambda row: row.pose if row.token in needed else None)
    while rows:
        token, row = rows.popitem()
        yield row, SensorData(token, row.timestamp * NANOSECONDS_PER_MICROSECOND, root, row.filename,
                              row.width, row.height, calibrations[row.calibrated_sensor_token],
                              tables.find(poses, row.ego_pose_token, 'ego_pose', 'sample_data'))


def _boxes(tables: Tables, samples: Mapping[str, _SampleRow]) -> dict[str, list[Box]]:
    """Sample token -> the boxes in it."""
    categories = tables.read('category', _CategoryRow, lambda row: row.name)
    instances = tables.read('instance', _InstanceRow, lambda row: (
        row.token, tables.find(categories, row.category_token, 'category', 'instance')))
    boxes: dict[str, list[Box]] = defaultdict(list)

    def keep(row: _AnnotationRow) -> None:
        if row.sample_token in samples:
            instance, category = tables.find(instances, row.instance_token, 'instance', 'sample_annotation')
            boxes[row.sample_token].append(Box(category, instance, row.pose, row.size))

    tables.read('sample_annotation', _AnnotationRow, keep)
    return boxes
