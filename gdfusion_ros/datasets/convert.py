"""nuScenes scenes as bags: one bag a scene, every message at the time of the sensor that made it.

| topic | content |
| --- | --- |
| /tf_static | base_link -> every camera and LIDAR_TOP, in one latched message, first in the bag |
| /tf | map -> base_link, the ego pose at every sensor's stamp |
| /<CAMERA>/camera_info | size, K, P; the distortion that the tables give, none for nuScenes' rectified images |
| /<CAMERA>/image/compressed | the JPEG or PNG file, byte for byte |
| /LIDAR_TOP/points | x, y, z, intensity, ring |
| /nuscenes/sample_token | token of the key frame, recorded at LIDAR_TOP's stamp |
| /nuscenes/annotations | the boxes of the key frame in map, coloured by class |
| /ground_truth/occupancy, …/markers | Occ3D's labels of the key frame in base_link, and the same for the eye |

Header stamps and record times are the sensors' own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.released import SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE
from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.datasets import boxes, images, lidar, occ3d
from gdfusion_ros.datasets.nuscenes import Calibration, Sample, SensorData
from gdfusion_ros.datasets.plan import LABELS, LIDAR_FILES, Job
from gdfusion_ros.datasets.scene_messages import FRAMES, camera_info, ego_transform, static_transforms
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import cubes, encode
from gdfusion_ros.messages.factory import header
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.messages.outputs import GROUND_TRUTH_MARKERS, GROUND_TRUTH_TOPIC, MARKERS
from gdfusion_ros.settings import TopicSettings

TOPICS = TopicSettings()
"""The bag uses the names that node and replay expect by default."""
ANNOTATIONS_TOPIC = '/nuscenes/annotations'

_TRIAL = 0.3  # seconds


def points_topic(channel: str) -> str:
    """The topic of a LiDAR's point clouds."""
    return f'/{channel}/points'


def convert(
    job: Job,
    *,
    storage: str = 'mcap',
    bag_format: str = 'jazzy',
    compression: str = 'none',
    on_file: Callable[[int], object] = lambda _: None,
) -> None:
    """Write the bag of one scene; nothing is left of it where that fails.

    Args:
        job: From ``plan``.
        storage: See bags/writer.py.
        bag_format: See bags/writer.py.
        compression: See bags/writer.py.
        on_file: Told of every file that went into the bag, how many bytes of it.

    Raises:
        GdfusionError: a file cannot be read or is damaged, or the bag cannot be written.
    """
    calibrations = _calibrations(job)
    timeline = _timeline(job)
    with bag_writer(
        job.path, storage=storage, bag_format=bag_format, compression=compression, custom_data=job.custom_data
    ) as bag:
        _add_topics(bag, job, calibrations)
        scene = _SceneWriter(bag, job, on_file)
        scene.write_calibrations(calibrations, timeline[0].stamp)
        for item in timeline:
            if isinstance(item, Sample):
                scene.write_sample(item)
            else:
                scene.write_measurement(item)


class _Enough(Exception):  # noqa: N818  nothing is wrong
    """The trial has lasted long enough."""


def trial(job: Job, disk: Path, **options: str) -> int:
    """Bytes per second at which the first files of a job go into a bag on ``disk``, of which nothing stays.

    Args:
        job: From ``plan``.
        disk: A folder on the disk where the bag will be.
        options: See ``convert``.

    Raises:
        GdfusionError: as ``convert``, or nothing can be written there.
    """
    written, begin = 0, time.perf_counter()

    def watch(size: int) -> None:
        nonlocal written
        written += size
        if time.perf_counter() - begin > _TRIAL:
            raise _Enough

    try:
        with tempfile.TemporaryDirectory(prefix='.gdfusion-trial-', dir=disk) as folder, suppress(_Enough):
            convert(replace(job, path=Path(folder) / 'bag'), on_file=watch, **options)
    except OSError as error:
        raise GdfusionError(f'{disk} cannot be written: {error.strerror}') from error
    return round(written / (time.perf_counter() - begin))


def _timeline(job: Job) -> list[SensorData | Sample]:
    """Everything that happens in a scene, in time order; the poses of a sample's stamp come before the sample."""
    data = sorted(job.measurements(), key=lambda item: (item.stamp, item.calibration.channel))
    return sorted([*data, *job.scene.samples], key=lambda item: item.stamp)


def _calibrations(job: Job) -> list[Calibration]:
    """The sensors of the scene, by channel.

    Raises:
        GdfusionError: a sensor that moved on the vehicle; one /tf_static cannot say so.
    """
    calibrations: dict[str, Calibration] = {}
    for data in job.measurements():
        known = calibrations.setdefault(data.calibration.channel, data.calibration)
        if known != data.calibration:
            raise GdfusionError(
                f'{job.scene.name}: {known.channel} has several calibrations, a bag takes '
                'one: split the scene where they change'
            )
    return [calibrations[channel] for channel in sorted(calibrations)]


def _add_topics(bag: BagWriter, job: Job, calibrations: list[Calibration]) -> None:
    bag.add_topic(TF_STATIC_TOPIC, TF_TYPE, LATCHED)
    bag.add_topic(TF_TOPIC, TF_TYPE)
    for calibration in calibrations:
        if calibration.modality == 'camera':
            bag.add_topic(TOPICS.camera_info(calibration.channel), CAMERA_INFO_TYPE)
            bag.add_topic(TOPICS.image(calibration.channel), TOPICS.image_type)
        elif any(job.files[LIDAR_FILES].values()):
            bag.add_topic(points_topic(calibration.channel), lidar.POINTS_TYPE)
    bag.add_topic(SAMPLE_TOKEN_TOPIC, SAMPLE_TOKEN_TYPE)
    if job.content.annotations:
        bag.add_topic(ANNOTATIONS_TOPIC, boxes.MARKERS_TYPE)
    if any(job.files[LABELS].values()):
        bag.add_topic(GROUND_TRUTH_TOPIC, GRID_TYPE)
        bag.add_topic(GROUND_TRUTH_MARKERS, MARKERS.type_name)


class _SceneWriter:
    """Writes what happens in a scene into its bag, one thing after the other."""

    def __init__(self, bag: BagWriter, job: Job, on_file: Callable[[int], object]) -> None:
        self._bag, self._job, self._on_file = bag, job, on_file
        self._present = job.present
        self._make = RosbagsFactory()
        self._posed: int | None = None
        self._marker_ids: dict[str, int] = {}

    def write_calibrations(self, calibrations: list[Calibration], stamp: int) -> None:
        """Say where the sensors are."""
        self._bag.write(TF_STATIC_TOPIC, stamp, static_transforms(calibrations, stamp, self._make))

    def write_measurement(self, data: SensorData) -> None:
        """Write the vehicle's pose and, where there is a file, what is in it."""
        if data.stamp != self._posed:
            self._bag.write(TF_TOPIC, data.stamp, ego_transform(data, self._make))
            self._posed = data.stamp
        path = data.path
        if path not in self._present:
            return
        if data.calibration.modality == 'camera':
            self._write_image(data, path)
        else:
            self._write_points(data, path)

    def write_sample(self, sample: Sample) -> None:
        """Write what is known of a key frame as a whole."""
        self._bag.write(SAMPLE_TOKEN_TOPIC, sample.stamp, self._make(SAMPLE_TOKEN_TYPE, data=sample.token))
        if self._job.content.annotations:
            for box in sample.boxes:
                self._marker_ids.setdefault(box.instance, len(self._marker_ids))
            markers = boxes.markers(sample.boxes, self._marker_ids, sample.stamp, FRAMES.fixed_frame, self._make)
            self._bag.write(ANNOTATIONS_TOPIC, sample.stamp, markers)
        path = self._job.labels.get(sample.token)
        if path in self._present:
            grid = occ3d.read_grid(path, sample.stamp, FRAMES.base_frame)
            self._bag.write(GROUND_TRUTH_TOPIC, sample.stamp, encode.occupancy(grid, self._make))
            self._bag.write(GROUND_TRUTH_MARKERS, sample.stamp, cubes.markers(grid))
            self._on_file(self._job.files[LABELS][path])

    def _write_image(self, data: SensorData, path: Path) -> None:
        """Write an image as its file has it, and its camera info."""
        form, content = images.read(path, data)
        channel = data.calibration.channel
        image = self._make(
            TOPICS.image_type,
            header=header(data.stamp, channel, self._make),
            format=form,
            data=self._make.array(content),
        )
        self._bag.write(TOPICS.camera_info(channel), data.stamp, camera_info(data, self._make))
        self._bag.write(TOPICS.image(channel), data.stamp, image)
        self._on_file(content.size)

    def _write_points(self, data: SensorData, path: Path) -> None:
        channel = data.calibration.channel
        points = lidar.read(path)
        self._bag.write(points_topic(channel), data.stamp, lidar.message(points, data.stamp, channel, self._make))
        self._on_file(points.nbytes)
