"""What there is to convert, found out before anything is written: files, sizes, space, and what is absent."""

from __future__ import annotations

import math
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gdfusion_ros.bags.info import format_size
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.datasets import images, occ3d
from gdfusion_ros.datasets.nuscenes import SYNTHETIC, Dataset, Scene, SensorData
from gdfusion_ros.datasets.scene_messages import camera_info
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing
from gdfusion_ros.messages.camera_info import camera_model
from gdfusion_ros.perception.labels import OCC3D_NUSCENES

IMAGES, SWEEP_IMAGES, LIDAR_FILES, LABELS = 'images', 'sweep images', 'LiDAR files', 'label files'
"""Kinds of files that go into a bag."""

_NUSCENES = 'nuScenes (c) Motional, CC BY-NC-SA 4.0, see nuscenes.org/terms-of-use'
_MADE = 'made by gdfusion synthesize, CC0 1.0'
_NAMED = 3  # how many missing images an error names
_LABEL_MESSAGES = 4 * OCC3D_NUSCENES.grid.voxels  # bytes: labels, camera mask, 24 for each of some 50 000 cubes
_MOVED = 0.1  # meters that two poses of one moment may be apart
_PARTS = {
    'maps': 'maps',
    'CAN bus': 'can_bus',
    'radar': 'samples/RADAR_FRONT',
    'LiDAR': 'samples/LIDAR_TOP',
    'sweeps': 'sweeps',
    'Occ3D labels': occ3d.FOLDER,
}
"""What a dataset may lack -> a folder that it has otherwise."""


@dataclass(frozen=True)
class Content:
    """What a bag shall have beside the key frames of the cameras.

    Attributes:
        sweeps: What was measured between the key frames, too.
        lidar: Point clouds of LIDAR_TOP.
        annotations: Boxes.
        labels: Occ3D's ground truth.
    """

    sweeps: bool = False
    lidar: bool = False
    annotations: bool = False
    labels: bool = False

    def __str__(self) -> str:
        return ', '.join(('images', *(name for name, wanted in vars(self).items() if wanted)))


@dataclass(frozen=True)
class Job:
    """One scene to convert.

    Attributes:
        scene: As it was read; with its sweeps and boxes if the bag shall have them.
        path: The bag.
        content: What it shall have.
        custom_data: What its metadata says of the scene.
        files: Kind -> file -> bytes that it takes in the bag, 0 where it is missing or empty.
        labels: Token of the sample -> the file with its labels; empty where the bag shall have none.
    """

    scene: Scene
    path: Path
    content: Content
    custom_data: Mapping[str, str]
    files: Mapping[str, Mapping[Path, int]]
    labels: Mapping[str, Path]

    @property
    def present(self) -> frozenset[Path]:
        """The files that go into the bag."""
        return frozenset(path for sizes in self.files.values() for path, size in sizes.items() if size)

    @property
    def size(self) -> int:
        """Bytes that the files take in the bag."""
        return sum(sum(sizes.values()) for sizes in self.files.values())

    @property
    def images(self) -> int:
        """Number of images that go into the bag."""
        return sum(len(self.files[kind]) - len(self.missing(kind)) for kind in (IMAGES, SWEEP_IMAGES))

    def missing(self, kind: str) -> list[Path]:
        """The files of a kind that are missing or empty."""
        return [path for path, size in self.files[kind].items() if not size]

    def measurements(self) -> Iterator[SensorData]:
        """What the sensors measured that the bag shall have or needs the poses of."""
        return _measurements(self.scene, self.content)


def plan(dataset: Dataset, out: Path, content: Content = Content(), *, skip_missing: bool = False) -> list[Job]:
    """What there is to convert, after looking at every file and at the space in ``out``. Writes nothing.

    Args:
        dataset: Scenes to convert; with sweeps and annotations if ``content`` has them.
        out: Folder for the bags; each is named as its scene.
        content: What the bags shall have.
        skip_missing: Leave out images that are missing or empty, and scenes that have no others. Other files than the
            cameras' key frames may always be missing.

    Raises:
        GdfusionError: images are missing (counted, the first ones named) or of another size than the tables say, a
            camera's matrix is none, the vehicle is in two places at once, a bag exists already, or the disk is too
            small.
    """
    jobs = [_job(scene, dataset, out / scene.name, content) for scene in dataset.scenes]
    missing = sorted(path for job in jobs for path in job.missing(IMAGES))
    if missing and not skip_missing:
        named = ', '.join(str(path) for path in missing[:_NAMED]) + (', …' if len(missing) > _NAMED else '')
        total = sum(len(job.files[IMAGES]) for job in jobs)
        raise GdfusionError(
            f'{len(missing)} of {total} images are missing or empty: {named}; fetch them, or convert '
            'the others with --skip-missing'
        )
    if not any(job.files[IMAGES] for job in jobs):
        raise GdfusionError(
            f'{dataset.root / dataset.version}: sample_data.json names no image of a key frame of the '
            'chosen scenes; look at its sample_token and is_key_frame'
        )
    jobs = [job for job in jobs if job.images]
    if not jobs:
        raise GdfusionError(f'no image of the chosen scenes is in {dataset.root}; fetch the sensor blobs of nuScenes')
    for job in jobs:
        refuse_existing(job.path)
        _check_images(job)
        _check_poses(job)
    _check_space(out, sum(job.size for job in jobs))
    return jobs


def unfinished(dataset: Dataset, out: Path, content: Content) -> Dataset:
    """The dataset without the scenes that have a bag in ``out`` already.

    Raises:
        GdfusionError: a bag that cannot be read, or was made of another scene or with another content.
    """
    left = []
    for scene in dataset.scenes:
        path = out / scene.name
        if not path.exists():
            left.append(scene)
            continue
        with bag_reader(path) as bag:
            if bag.custom_data != _custom_data(scene, dataset.version, content):
                had = bag.custom_data.get('nuscenes.options', 'something else')
                raise GdfusionError(
                    f'{path} is not what shall be made ({content}), it has {had}; remove it or choose another folder'
                )
    return replace(dataset, scenes=tuple(left))


def absences(dataset: Dataset, jobs: Sequence[Job]) -> Iterator[str]:
    """A line for everything that the bags shall have and the dataset lacks, and one for what nobody asked for."""
    for scene in dataset.scenes:
        yield from _lacks(scene)
    content = jobs[0].content
    paths = [data.path for job in jobs for data in job.measurements() if data.calibration.modality == 'camera']
    if again := len(paths) - len(set(paths)):
        yield f'images: {again} of {len(paths)} rows of sample_data.json name a file that another row names, too'
    wanted = {SWEEP_IMAGES: content.sweeps, LIDAR_FILES: content.lidar, LABELS: content.labels}
    for kind in (kind for kind, wished in wanted.items() if wished):
        total = sum(len(job.files[kind]) for job in jobs)
        missing = sum(len(job.missing(kind)) for job in jobs)
        if missing or not total:
            yield f'{kind}: {missing} of {total} are missing or empty' if total else f'{kind}: the tables name none'
    if content.annotations and not any(sample.boxes for job in jobs for sample in job.scene.samples):
        yield 'annotations: the tables have none of these scenes'
    asked = {'sweeps': content.sweeps, 'LiDAR': content.lidar, 'Occ3D labels': content.labels}
    lacking = [name for name, folder in _PARTS.items() if not asked.get(name) and not (dataset.root / folder).exists()]
    if lacking:
        yield f'not in the dataset, not needed: {", ".join(lacking)}'


def _lacks(scene: Scene) -> Iterator[str]:
    """A line for what the tables themselves promise of a scene's key frames and do not have."""
    found, promised = len(scene.samples), scene.promised
    if promised is not None and found < promised:
        yield f'{scene.name}: {promised - found} of {promised} key frames that scene.json counts are not in sample.json'
    images = Counter(
        channel
        for sample in scene.samples
        for channel, data in sample.data.items()
        if data.calibration.modality == 'camera'
    )
    if not images:
        yield f'{scene.name}: the tables have no image of it, so that it gets no bag'
    for channel, count in sorted(images.items()):
        if count < found:
            yield f'{scene.name}: sample_data.json has no image of {channel} in {found - count} of {found} key frames'


def existing(folder: Path) -> Path:
    """The folder itself, or the innermost one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _job(scene: Scene, dataset: Dataset, path: Path, content: Content) -> Job:
    labels = {
        sample.token: occ3d.label_path(dataset.root, scene.name, sample.token)
        for sample in scene.samples
        if content.labels
    }
    files: dict[str, dict[Path, int]] = {IMAGES: {}, SWEEP_IMAGES: {}, LIDAR_FILES: {}, LABELS: {}}
    sweeps = {data.token for data in scene.sweeps}
    for data in _measurements(scene, content):
        if data.calibration.modality == 'camera':
            files[SWEEP_IMAGES if data.token in sweeps else IMAGES][data.path] = _size(data.path)
        elif content.lidar:
            files[LIDAR_FILES][data.path] = _size(data.path)
    files[LABELS] = {path: _LABEL_MESSAGES if _size(path) else 0 for path in labels.values()}
    return Job(scene, path, content, _custom_data(scene, dataset.version, content), files, labels)


def _check_images(job: Job) -> None:
    """Look at the first image and at the matrix of every camera, so that faults are said before anything is written."""
    present, seen, make = job.present, set(), RosbagsFactory()
    for data in job.measurements():
        channel = data.calibration.channel
        if data.calibration.modality == 'camera' and channel not in seen and data.path in present:
            seen.add(channel)
            images.check(data.path, data)
            camera_model(camera_info(data, make), f'camera_intrinsic of {channel} in calibrated_sensor.json')


def _check_poses(job: Job) -> None:
    """Make sure that the vehicle is in one place at a time, as /tf has it."""
    first: dict[int, SensorData] = {}
    for data in job.measurements():
        other = first.setdefault(data.stamp, data)
        if math.dist(data.ego_pose.translation, other.ego_pose.translation) > _MOVED:
            raise GdfusionError(
                f'{job.scene.name}: {other.token} and {data.token} in sample_data.json have one timestamp, but ego '
                'poses in different places; give each its own timestamp, or both the pose of that moment'
            )


def _measurements(scene: Scene, content: Content) -> Iterator[SensorData]:
    for sample in scene.samples:
        yield from sample.data.values()
    if content.sweeps:
        yield from (data for data in scene.sweeps if content.lidar or data.calibration.modality == 'camera')


def _size(path: Path) -> int:
    """Bytes of a file; 0 where there is no such file, or none can have that name."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _custom_data(scene: Scene, version: str, content: Content) -> dict[str, str]:
    about = {
        'version': version,
        'scene': scene.name,
        'scene_token': scene.token,
        'description': scene.description,
        **scene.log,
        'options': str(content),
        'license': _MADE if version == SYNTHETIC else _NUSCENES,
    }
    # JSON can have halves of letters, which no file takes.
    return {f'nuscenes.{key}': value.encode(errors='backslashreplace').decode() for key, value in about.items()}


def _check_space(out: Path, size: int) -> None:
    free = shutil.disk_usage(existing(out)).free
    if free < size:
        raise GdfusionError(
            f'the bags take {format_size(size)}, {out} has only {format_size(free)} free; free some or '
            'choose another folder'
        )
