"""The nuScenes tables, read as far as they are needed. No other module knows their layout.

A dataset folder holds the tables in ``<root>/<version>/*.json`` and the files that they name below ``<root>``. Seven
tables are read, nuScenes-lidarseg's where it is there, three more where annotations are asked for; maps, CAN bus, radar
and the sweeps may be absent. What the chosen scenes do not need is dropped while it is read (see tables.py).

Frames: nuScenes' ego frame is REP-103's ``base_link`` (x forward, y left, z up, on the ground below the rear axle), its
global frame is ``map``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import msgspec

from gdfusion_ros.datasets.nuscenes_rows import (
    NEEDED,
    NO_LOG,
    AnnotationRow,
    CalibrationRow,
    CategoryRow,
    DataRow,
    EgoPoseRow,
    InstanceRow,
    LogRow,
    PointCategoriesRow,
    Pose,
    SampleRow,
    SceneRow,
    SensorRow,
)
from gdfusion_ros.datasets.rotations import require_level, require_upright
from gdfusion_ros.datasets.scene_names import chosen
from gdfusion_ros.datasets.tables import Tables
from gdfusion_ros.datasets.timestamps import nanoseconds, require_microseconds, require_near
from gdfusion_ros.errors import GdfusionError

SYNTHETIC = 'v1.0-synthetic'
"""Version of datasets that gdfusion synthesize makes."""

# Of poses, measurements and boxes there are millions: structs take less than dataclasses, and the garbage collector
# leaves them alone.


@dataclass(frozen=True)
class Calibration:
    """A mounted sensor.

    ``modality`` is camera, lidar, or another that is not read; ``pose`` maps the sensor frame into the ego frame;
    ``intrinsics`` are the nine values of a camera's K, row-major [px], and empty for other sensors. ``distortion`` are
    the coefficients of its lens in OpenCV's order: empty, as nuScenes' images have none, else five (ROS's plumb_bob) or
    eight (rational_polynomial).
    """

    channel: str
    modality: str
    pose: Pose
    intrinsics: tuple[float, ...]
    distortion: tuple[float, ...] = ()


class PointCategories(msgspec.Struct, frozen=True, gc=False):
    """Where nuScenes-lidarseg has the categories of a sweep's points.

    Attributes:
        path: The file, a byte a point.
        names: What these bytes mean.
    """

    path: Path
    names: Mapping[int, str]


class SensorData(msgspec.Struct, frozen=True, gc=False):
    """One measurement of one sensor.

    ``stamp`` is the sensor's own [ns], ``filename`` is below the dataset's ``root``, ``ego_pose`` maps the ego frame at
    that stamp into the global frame. ``width`` and ``height`` [px] are 0 for what is not an image, ``categories`` is
    None for what is no LiDAR sweep of nuScenes-lidarseg.
    """

    token: str
    stamp: int
    root: Path
    filename: str
    width: int
    height: int
    calibration: Calibration
    ego_pose: Pose
    categories: PointCategories | None = None

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

    ``promised`` is how many samples the scene table says it has; None where it says nothing.
    ``sweeps`` are the measurements of cameras and LIDAR_TOP between the samples, in time order, read only where asked
    for.
    """

    token: str
    name: str
    description: str
    log: Mapping[str, str]
    samples: tuple[Sample, ...]
    sweeps: tuple[SensorData, ...] = ()
    promised: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Scenes of one version of nuScenes, e.g. v1.0-mini."""

    root: Path
    version: str
    scenes: tuple[Scene, ...]


def load(
    root: Path,
    version: str | None = None,
    scenes: Sequence[str] = (),
    *,
    sweeps: bool = False,
    annotations: bool = False,
) -> Dataset:
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
    folder = root / version
    tables = Tables(folder)
    chosen_scenes = _chosen_scenes(tables, scenes)
    logs = tables.read('log', LogRow, lambda row: row.facts) if tables.has('log') else {}
    samples = tables.read('sample', SampleRow, lambda row: row.checked() if row.scene_token in chosen_scenes else None)
    key_frames: dict[str, dict[str, SensorData]] = {token: {} for token in samples}
    between: dict[str, list[SensorData]] = {token: [] for token in chosen_scenes}
    for row, data in _measurements(root, tables, samples, sweeps=sweeps):
        sample = samples[row.sample_token]
        require_near(folder, data.token, data.stamp, sample.token, sample.stamp)
        if row.is_key_frame:
            other = key_frames[row.sample_token].setdefault(data.calibration.channel, data)
            _require_one(folder, data, other, sample)
        else:
            between[sample.scene_token].append(data)
    boxes = _boxes(tables, samples) if annotations else {}
    members: dict[str, list[Sample]] = {token: [] for token in chosen_scenes}
    for token, sample in samples.items():
        members[sample.scene_token].append(Sample(token, sample.stamp, key_frames[token], tuple(boxes.get(token, ()))))
    by_stamp = attrgetter('stamp')
    require_microseconds(
        folder, {row.name: [sample.stamp for sample in members[token]] for token, row in chosen_scenes.items()}
    )
    return Dataset(
        root,
        version,
        tuple(
            Scene(
                token,
                row.name,
                row.description or '',
                tables.find(logs, row.log_token, 'log', 'scene') if logs and row.log_token else NO_LOG,
                tuple(sorted(members[token], key=by_stamp)),
                tuple(sorted(between[token], key=by_stamp)),
                row.nbr_samples,
            )
            for token, row in chosen_scenes.items()
        ),
    )


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


def _chosen_scenes(tables: Tables, names: Sequence[str]) -> dict[str, SceneRow]:
    rows = tables.read('scene', SceneRow, SceneRow.checked)
    if not rows:
        raise GdfusionError(f'{tables.path("scene")} has no rows: there is no scene')
    wanted = chosen(names, [row.name for row in rows.values()])
    scenes = {token: row for token, row in rows.items() if row.name in wanted}
    by_name: dict[str, str] = {}
    for token, row in scenes.items():
        if (other := by_name.setdefault(row.name, token)) != token:
            raise GdfusionError(
                f'{tables.path("scene")}: {other} and {token} are both called {row.name}, which names '
                'a bag and a folder of labels; rename one'
            )
    return scenes


def _require_one(folder: Path, data: SensorData, other: SensorData, sample: SampleRow) -> None:
    if other is not data:
        raise GdfusionError(
            f'{folder}/sample_data.json: {other.token} and {data.token} are both key frames of '
            f'{data.calibration.channel} in sample {sample.token}; set is_key_frame of all but one to false'
        )


def _calibrations(tables: Tables) -> dict[str, Calibration]:
    sensors = tables.read('sensor', SensorRow, lambda row: (row.channel, row.kind))
    if not any(kind == 'camera' for _, kind in sensors.values()):
        kinds = ', '.join(sorted({kind for _, kind in sensors.values()})) or 'none'
        raise GdfusionError(f"{tables.path('sensor')} has no sensor with the modality 'camera'; there are {kinds}")

    def calibration(row: CalibrationRow) -> Calibration:
        channel, kind = tables.find(sensors, row.sensor_token, 'sensor', 'calibrated_sensor')
        return Calibration(channel, kind, row.pose, row.intrinsics(channel, kind), row.distortion)

    made = tables.read('calibrated_sensor', CalibrationRow, calibration)
    cameras = ((item.channel, item.pose.rotation) for item in made.values() if item.modality == 'camera')
    require_upright(tables.path('calibrated_sensor'), cameras)
    return made


def _measurements(
    root: Path, tables: Tables, samples: Mapping[str, SampleRow], *, sweeps: bool
) -> Iterator[tuple[DataRow, SensorData]]:
    """What cameras and LiDAR measured for ``samples``; between them only where ``sweeps`` is set."""
    calibrations = _calibrations(tables)

    def wanted(row: DataRow) -> DataRow | None:
        if row.sample_token not in samples or not (row.is_key_frame or sweeps):
            return None
        token = row.calibrated_sensor_token
        calibration = tables.find(calibrations, token, 'calibrated_sensor', 'sample_data')
        return row.checked() if calibration.modality in NEEDED else None

    rows = tables.read('sample_data', DataRow, wanted)
    needed = {row.ego_pose_token for row in rows.values()}
    poses = tables.read('ego_pose', EgoPoseRow, lambda row: row.pose if row.token in needed else None)
    require_level(tables.path('ego_pose'), (pose.rotation for pose in poses.values()))
    categories = _point_categories(root, tables, rows)
    while rows:
        token, row = rows.popitem()
        yield (
            row,
            SensorData(
                token,
                nanoseconds(row.timestamp),
                root,
                row.filename,
                *row.size,
                calibrations[row.calibrated_sensor_token],
                tables.find(poses, row.ego_pose_token, 'ego_pose', 'sample_data'),
                categories.get(token),
            ),
        )


def _point_categories(root: Path, tables: Tables, measured: Mapping[str, DataRow]) -> dict[str, PointCategories]:
    """Token of a sweep -> its points' categories, where nuScenes-lidarseg is there."""
    if not tables.has('lidarseg'):
        return {}
    indices = tables.read('category', CategoryRow, lambda row: None if row.index is None else (row.index, row.name))
    names = dict(indices.values())
    files = tables.read(
        'lidarseg', PointCategoriesRow, lambda row: row.checked() if row.sample_data_token in measured else None
    )
    return {row.sample_data_token: PointCategories(root / row.filename, names) for row in files.values()}


def _boxes(tables: Tables, samples: Mapping[str, SampleRow]) -> dict[str, list[Box]]:
    """Sample token -> the boxes in it."""
    categories = tables.read('category', CategoryRow, lambda row: row.name)
    instances = tables.read(
        'instance',
        InstanceRow,
        lambda row: (row.token, tables.find(categories, row.category_token, 'category', 'instance')),
    )
    boxes: dict[str, list[Box]] = defaultdict(list)

    def keep(row: AnnotationRow) -> None:
        if row.sample_token in samples:
            instance, category = tables.find(instances, row.instance_token, 'instance', 'sample_annotation')
            boxes[row.sample_token].append(Box(category, instance, row.pose, row.size))

    tables.read('sample_annotation', AnnotationRow, keep)
    return boxes
