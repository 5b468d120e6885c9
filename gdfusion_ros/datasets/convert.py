"""nuScenes scenes as bags: one bag a scene, every message at the time of the sensor that made it.

| topic | content |
| --- | --- |
| /tf_static | base_link -> every camera and LIDAR_TOP, in one latched message, first in the bag |
| /tf | map -> base_link, the ego pose at every sensor's stamp |
| /<CAMERA>/camera_info | size, K, P; the images are rectified: no distortion |
| /<CAMERA>/image/compressed | the JPEG file, byte for byte |
| /nuscenes/sample_token | token of the key frame, recorded at LIDAR_TOP's stamp |

Header stamps and record times are the sensors' own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gdfusion_ros.bags.info import format_size
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.released import SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE
from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.datasets.nuscenes import Calibration, Dataset, Pose, Sample, Scene, SensorData
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.settings import PipelineSettings, TopicSettings

TOPICS, FRAMES = TopicSettings(), PipelineSettings()
"""The bag uses the names that node and replay expect by default."""

_NAMED = 3  # how many missing images an error names


@dataclass(frozen=True)
class Job:
    """One scene to convert into the bag ``path``, without the files in ``missing``; its images have ``size`` bytes."""

    scene: Scene
    version: str
    path: Path
    missing: frozenset[Path]
    images: int
    size: int


def plan(dataset: Dataset, out: Path, *, skip_missing: bool = False) -> list[Job]:
    """What there is to convert, after looking at every image file and at the space in ``out``. Writes nothing.

    Args:
        dataset: Scenes to convert.
        out: Folder for the bags; each is named as its scene.
        skip_missing: Leave out images that are missing or empty, and scenes that have no others.

    Raises:
        GdfusionError: images are missing (counted, the first ones named), a bag exists already, or the disk is too
            small.
    """
    jobs = [_job(scene, dataset.version, out / scene.name) for scene in dataset.scenes]
    missing = sorted(path for job in jobs for path in job.missing)
    if missing and not skip_missing:
        named = ', '.join(str(path) for path in missing[:_NAMED]) + (', …' if len(missing) > _NAMED else '')
        total = len(missing) + sum(job.images for job in jobs)
        raise GdfusionError(f'{len(missing)} of {total} images are missing or empty: {named}; fetch them, or convert '
                            'the others with --skip-missing')
    jobs = [job for job in jobs if job.images]
    if not jobs:
        raise GdfusionError(f'no image of the chosen scenes is in {dataset.root}; fetch the sensor blobs of nuScenes')
    for job in jobs:
        refuse_existing(job.path)
    _check_space(out, sum(job.size for job in jobs))
    return jobs


def convert(job: Job, *, storage: str = 'mcap', bag_format: str = 'jazzy',
            on_image: Callable[[int], object] = lambda _: None) -> None:
    """Write the bag of one scene; nothing is left of it where that fails.

    Args:
        job: From ``plan``.
        storage: See bags/writer.py.
        bag_format: See bags/writer.py.
        on_image: Told the size of every image that was written [bytes].

    Raises:
        GdfusionError: a file cannot be read, or the bag not be written.
    """
    make = RosbagsFactory()
    timeline = _timeline(job.scene)
    with bag_writer(job.path, storage=storage, bag_format=bag_format, custom_data=_custom_data(job)) as bag:
        calibrations = _calibrations(job.scene)
        _add_topics(bag, calibrations)
        bag.write(TF_STATIC_TOPIC, timeline[0].stamp, _static_transforms(calibrations, timeline[0].stamp, make))
        posed = 0
        for item in timeline:
            if isinstance(item, Sample):
                bag.write(SAMPLE_TOKEN_TOPIC, item.stamp, make(SAMPLE_TOKEN_TYPE, data=item.token))
                continue
            if item.stamp != posed:
                bag.write(TF_TOPIC, item.stamp, _ego_transform(item, make))
                posed = item.stamp
            if item.calibration.modality == 'camera' and item.path not in job.missing:
                on_image(_write_image(bag, item, make))


def _job(scene: Scene, version: str, path: Path) -> Job:
    images = [data.path for data in _data(scene) if data.calibration.modality == 'camera']
    sizes = {image: image.stat().st_size if image.is_file() else 0 for image in images}
    missing = frozenset(image for image, size in sizes.items() if not size)
    return Job(scene, version, path, missing, len(images) - len(missing), sum(sizes.values()))


def _check_space(out: Path, size: int) -> None:
    disk = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    if free < size:
        raise GdfusionError(f'the bags take {format_size(size)}, {out} has only {format_size(free)} free; free some or '
                            'choose another folder')


def _data(scene: Scene) -> Iterator[SensorData]:
    for sample in scene.samples:
        yield from sample.data.values()


def _timeline(scene: Scene) -> list[SensorData | Sample]:
    """Everything that happens in a scene, in time order; the poses of a sample's stamp come before its token."""
    data = sorted(_data(scene), key=lambda item: (item.stamp, item.calibration.channel))
    return sorted([*data, *scene.samples], key=lambda item: item.stamp)


def _calibrations(scene: Scene) -> list[Calibration]:
    """The sensors of the scene, by channel.

    Raises:
        GdfusionError: a sensor that moved on the vehicle; one /tf_static cannot say so.
    """
    calibrations: dict[str, Calibration] = {}
    for data in _data(scene):
        known = calibrations.setdefault(data.calibration.channel, data.calibration)
        if known != data.calibration:
            raise GdfusionError(f'{scene.name}: {known.channel} has several calibrations, a bag takes one')
    return [calibrations[channel] for channel in sorted(calibrations)]


def _custom_data(job: Job) -> dict[str, str]:
    scene = job.scene
    about = {'version': job.version, 'scene': scene.name, 'scene_token': scene.token, 'description': scene.description,
             **{key: value for key, value in scene.log.items() if key != 'token'},
             'license': 'nuScenes (c) Motional, CC BY-NC-SA 4.0, see nuscenes.org/terms-of-use'}
    return {f'nuscenes.{key}': value for key, value in about.items()}


def _add_topics(bag: BagWriter, calibrations: Sequence[Calibration]) -> None:
    bag.add_topic(TF_STATIC_TOPIC, TF_TYPE, LATCHED)
    bag.add_topic(TF_TOPIC, TF_TYPE)
    for calibration in calibrations:
        if calibration.modality == 'camera':
            bag.add_topic(TOPICS.camera_info(calibration.channel), CAMERA_INFO_TYPE)
            bag.add_topic(TOPICS.image(calibration.channel), TOPICS.image_type)
    bag.add_topic(SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE)


def _write_image(bag: BagWriter, data: SensorData, make: MessageFactory) -> int:
    """Write an image as its file has it, and its camera info; returns the file's size [bytes]."""
    try:
        content = np.fromfile(data.path, np.uint8)
    except OSError as error:
        raise GdfusionError(f'image {data.path} cannot be read: {error.strerror}') from error
    channel = data.calibration.channel
    image = make(TOPICS.image_type, header=header(data.stamp, channel, make), format='jpeg', data=make.array(content))
    bag.write(TOPICS.camera_info(channel), data.stamp, _camera_info(data, make))
    bag.write(TOPICS.image(channel), data.stamp, image)
    return content.size


def _camera_info(data: SensorData, make: MessageFactory) -> Message:
    """Intrinsics of a rectified image: no distortion, no rotation, P = [K | 0]."""
    intrinsics = np.array(data.calibration.intrinsics)
    projection = np.hstack([intrinsics.reshape(3, 3), np.zeros((3, 1))])
    return make(CAMERA_INFO_TYPE, header=header(data.stamp, data.calibration.channel, make),
                width=data.width, height=data.height, distortion_model='plumb_bob', d=make.array(np.zeros(5)),
                k=make.array(intrinsics), r=make.array(np.eye(3).ravel()), p=make.array(projection.ravel()))


def _ego_transform(data: SensorData, make: MessageFactory) -> Message:
    transform = _transform(FRAMES.fixed_frame, FRAMES.base_frame, data.stamp, data.ego_pose, make)
    return make(TF_TYPE, transforms=[transform])


def _static_transforms(calibrations: Sequence[Calibration], stamp: int, make: MessageFactory) -> Message:
    return make(TF_TYPE, transforms=[_transform(FRAMES.base_frame, sensor.channel, stamp, sensor.pose, make)
                                     for sensor in calibrations])


def _transform(parent: str, child: str, stamp: int, pose: Pose, make: MessageFactory) -> Message:
    """``geometry_msgs/TransformStamped`` whose ``pose`` maps the child frame into its parent."""
    (x, y, z), (qx, qy, qz, qw) = pose.translation, pose.rotation
    transform = make('geometry_msgs/msg/Transform', translation=make('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                     rotation=make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw))
    return make('geometry_msgs/msg/TransformStamped', header=header(stamp, parent, make), child_frame_id=child,
                transform=transform)
