"""The rows of the nuScenes tables, as far as they are needed, and what is asked of their values.

Tables come from many tools: fields that say nothing about geometry may be missing or null; what names files, folders,
topics or times is judged here, by the row.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from gdfusion_ros.datasets.tables import Row
from gdfusion_ros.names import is_file_name, is_relative_path
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import Matrix

NANOSECONDS_PER_MICROSECOND = 1_000
MODALITIES = ('camera', 'lidar', 'radar')
_CHANNEL = re.compile('[A-Za-z][A-Za-z0-9_]*', re.ASCII)


class Pose(msgspec.Struct, frozen=True, gc=False):
    """A rigid transform: translation [m] and unit quaternion (x, y, z, w), which is ROS's order, not nuScenes' own."""

    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]

    def matrix(self) -> Matrix:
        """(4, 4) of the transform."""
        return pose_matrix(self.translation, self.rotation)


_Microseconds = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
"""Some tools write floats, which are to be whole (see nanoseconds)."""
_LATEST = 10 ** 6 << 31
"""The first microsecond that a ROS stamp, whose seconds have 31 bits, does not have."""
_Pixels = Annotated[int, Meta(ge=0, lt=1 << 32)] | None
"""None or left out where there is no image."""


def nanoseconds(timestamp: float) -> int:
    """A timestamp of a table in nanoseconds.

    Raises:
        ValueError: it is not in whole microseconds, or beyond ROS's stamps.
    """
    if timestamp >= _LATEST:
        raise ValueError(f'timestamp {timestamp} is beyond the year 2038 in microseconds, which nuScenes has; '
                         'if these are nanoseconds, divide the timestamps of sample and sample_data by 1000')
    if timestamp != int(timestamp):
        raise ValueError(f'timestamp {timestamp} has a fraction, nuScenes has whole microseconds; if these are '
                         'seconds, multiply the timestamps of sample and sample_data by 1000000')
    return int(timestamp) * NANOSECONDS_PER_MICROSECOND


class SceneRow(Row):
    """A scene."""

    name: str
    description: str | None = None
    log_token: str | None = None

    def checked(self) -> SceneRow:
        """The row itself. Raises ValueError where its name can name no folder."""
        if not is_file_name(self.name):
            raise ValueError(f"name '{self.name}' names a folder: no / or \\, not hidden, at most 200 characters; "
                             'rename the scene there')
        return self


class LogRow(Row):
    """The drive that scenes were cut from."""

    logfile: str | float | None = None
    vehicle: str | float | None = None
    date_captured: str | float | None = None
    location: str | float | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What it says of the drive."""
        facts = {field: getattr(self, field) for field in _LOG_FACTS}
        return {field: '' if value is None else str(value) for field, value in facts.items()}


_LOG_FACTS = ('logfile', 'vehicle', 'date_captured', 'location')
NO_LOG = dict.fromkeys(_LOG_FACTS, '')


class SampleRow(Row):
    """A key frame."""

    timestamp: _Microseconds
    scene_token: str

    @property
    def stamp(self) -> int:
        """In nanoseconds."""
        return nanoseconds(self.timestamp)

    def checked(self) -> SampleRow:
        """The row itself. Raises ValueError where its stamp is none."""
        nanoseconds(self.timestamp)
        return self


class SensorRow(Row):
    """A kind of sensor."""

    channel: str
    modality: str

    @property
    def kind(self) -> str:
        """One of MODALITIES. Raises ValueError where it is none, or the channel can name no topics and TF frame."""
        if _CHANNEL.fullmatch(self.channel) is None:
            raise ValueError(f"channel '{self.channel}' names topics and a TF frame: expected letters, digits and _, "
                             'a letter first')
        kind = self.modality.lower()
        if kind not in MODALITIES:
            raise ValueError(f"modality '{self.modality}' is none of {', '.join(MODALITIES)}")
        return kind


class PoseRow(Row):
    """A pose: of the vehicle, a sensor or a box."""

    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]  # w, x, y, z

    @property
    def pose(self) -> Pose:
        """In ROS's order. Raises ValueError where the rotation is none."""
        w, x, y, z = self.rotation
        norm = math.hypot(w, x, y, z)
        if abs(norm - 1) > 0.01:
            raise ValueError(f'no rotation: {self.rotation} has the length {norm:g}, expected a unit quaternion '
                             'w, x, y, z')
        return Pose(self.translation, (x / norm, y / norm, z / norm, w / norm))


class CalibrationRow(PoseRow):
    """A mounted sensor."""

    sensor_token: str
    camera_intrinsic: list[list[float]]
    camera_distortion: list[float] | None = None

    @property
    def distortion(self) -> tuple[float, ...]:
        """As Calibration has it. Raises ValueError where ROS has no model of so many coefficients."""
        values = tuple(self.camera_distortion or ())
        if len(values) not in (0, 4, 5, 8):
            raise ValueError(f"camera_distortion has {len(values)} coefficients; expected OpenCV's k1 k2 p1 p2 [k3 "
                             '[k4 k5 k6]], or none')
        return (*values, 0.0) if len(values) == 4 else values


class DataRow(Row):
    """A measurement."""

    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: _Microseconds
    is_key_frame: bool
    filename: str
    width: _Pixels = None
    height: _Pixels = None

    def checked(self) -> DataRow:
        """The row itself, with / between the folders of its file.

        Raises:
            ValueError: its stamp is none, or its file is not below the dataset's folder.
        """
        nanoseconds(self.timestamp)
        # Tables that were written on Windows.
        name = self.filename.replace('\\', '/')
        if not is_relative_path(name):
            raise ValueError(f"filename '{self.filename}' is to be below the dataset's folder: no absolute path, no "
                             "'..'; link the folder where the files are into the dataset instead")
        return self if name == self.filename else msgspec.structs.replace(self, filename=name)


class InstanceRow(Row):
    """An annotated thing."""

    category_token: str


class CategoryRow(Row):
    """A kind of things."""

    name: str


class AnnotationRow(PoseRow):
    """A box."""

    sample_token: str
    instance_token: str
    size: tuple[float, float, float]
