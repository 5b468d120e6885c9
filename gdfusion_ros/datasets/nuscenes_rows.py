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
from gdfusion_ros.datasets.timestamps import nanoseconds
from gdfusion_ros.names import is_file_name, is_relative_path
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.settings import PipelineSettings

NEEDED = ('camera', 'lidar')
"""Modalities of the sensors that are read; others (radar, imu, …) may be there."""
_FRAMES = (PipelineSettings().base_frame, PipelineSettings().fixed_frame)
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
_Pixels = Annotated[int, Meta(ge=0, lt=1 << 32)] | Annotated[float, Meta(ge=0, lt=1 << 32)] | None
"""None or left out where there is no image; some tools write floats."""
_Flag = bool | Annotated[int, Meta(ge=0, le=1)]
_UPRIGHT = 0.5
"""Cosine of the largest angle, 60 degrees, between the vehicle's vertical axis and the map's."""
_FARTHEST = 1e8
"""No map on Earth is so large [m]."""
_LONGEST_VEHICLE = 50.0
"""No sensor is farther from the origin of its vehicle [m]."""


class SceneRow(Row):
    """A scene."""

    name: str
    description: str | None = None
    log_token: str | None = None
    nbr_samples: Annotated[int, Meta(ge=0)] | None = None

    def checked(self) -> SceneRow:
        """The row itself. Raises ValueError where its name can name no folder."""
        if not is_file_name(self.name):
            raise ValueError(
                f"name '{self.name}' names a folder: no / or \\, not hidden, at most 200 bytes; rename the scene there"
            )
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
        """Its modality. Raises ValueError where it is NEEDED, and the channel can name no topics and TF frame."""
        kind = self.modality.lower()
        if kind in NEEDED and self.channel in _FRAMES:
            raise ValueError(f"channel '{self.channel}' names a TF frame, and is that of the vehicle or the map")
        if kind in NEEDED and _CHANNEL.fullmatch(self.channel) is None:
            raise ValueError(
                f"channel '{self.channel}' names topics and a TF frame: expected letters, digits and _, a letter first"
            )
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
            raise ValueError(
                f'no rotation: {self.rotation} has the length {norm:g}, expected a unit quaternion w, x, y, z'
            )
        return Pose(self.translation, (x / norm, y / norm, z / norm, w / norm))


class EgoPoseRow(PoseRow):
    """A pose of the vehicle."""

    @property
    def pose(self) -> Pose:
        """In ROS's order. Raises ValueError where no vehicle stands like this, or there."""
        pose = super().pose
        x, y, _, _ = pose.rotation
        if 1 - 2 * (x * x + y * y) < _UPRIGHT:
            raise ValueError(
                f'with the rotation {self.rotation} the vehicle lies on its side or its roof; expected '
                "w, x, y, z of a turn from the vehicle's axes, z up, to the map's, z up"
            )
        east, north, height = pose.translation
        if not (-_FARTHEST < east < _FARTHEST and -_FARTHEST < north < _FARTHEST and -_FARTHEST < height < _FARTHEST):
            raise ValueError(f'translation {self.translation} is beyond all maps; expected meters')
        return pose


class CalibrationRow(PoseRow):
    """A mounted sensor."""

    sensor_token: str
    camera_intrinsic: list[list[float]] | None = None
    camera_distortion: list[float] | None = None

    @property
    def pose(self) -> Pose:
        """In ROS's order. Raises ValueError where the rotation is none, or no sensor is mounted there."""
        pose = super().pose
        if not math.hypot(*pose.translation) < _LONGEST_VEHICLE:
            raise ValueError(
                f'translation {self.translation} is farther than {_LONGEST_VEHICLE:g} m from the vehicle that it is '
                'mounted on; expected meters, in the frame of the vehicle'
            )
        return pose

    def intrinsics(self, channel: str, kind: str) -> tuple[float, ...]:
        """The nine values of a camera's K, row-major; none for other sensors.

        Raises:
            ValueError: a camera has none, or what has some is called otherwise.
        """
        values = tuple(value for line in self.camera_intrinsic or () for value in line)
        if kind == 'camera' and len(values) != 9:
            raise ValueError(
                f'camera_intrinsic of {channel} is not 3x3: {self.camera_intrinsic}; expected three '
                'rows of three numbers [px]'
            )
        if kind not in NEEDED and any(values):
            raise ValueError(f"{channel} has a camera_intrinsic, but its modality is '{kind}'; expected camera")
        return values

    @property
    def distortion(self) -> tuple[float, ...]:
        """As Calibration has it. Raises ValueError where ROS has no model of so many coefficients."""
        values = tuple(self.camera_distortion or ())
        if len(values) not in (0, 4, 5, 8):
            raise ValueError(
                f"camera_distortion has {len(values)} coefficients; expected OpenCV's k1 k2 p1 p2 [k3 "
                '[k4 k5 k6]], or none'
            )
        return (*values, 0.0) if len(values) == 4 else values


def _below(filename: str) -> str:
    """The name with / between its folders. Raises ValueError where it is not below the dataset's folder."""
    name = filename.replace('\\', '/')  # tables that were written on Windows
    if not is_relative_path(name):
        raise ValueError(
            f"filename '{filename}' is to be below the dataset's folder: no absolute path, no '..'; link "
            'the folder where the files are into the dataset instead'
        )
    return name


class DataRow(Row):
    """A measurement."""

    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: _Microseconds
    is_key_frame: _Flag
    filename: str
    width: _Pixels = None
    height: _Pixels = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px], 0 where there is no image."""
        return int(self.width or 0), int(self.height or 0)

    def checked(self) -> DataRow:
        """The row itself, with / between the folders of its file.

        Raises:
            ValueError: its stamp or its size is none, or its file is not below the dataset's folder.
        """
        nanoseconds(self.timestamp)
        # Of measurements there are millions, and hardly ever a float.
        if (isinstance(self.width, float) or isinstance(self.height, float)) and self.size != (self.width, self.height):
            raise ValueError(f'an image of {self.width} x {self.height} pixels: expected whole numbers')
        name = _below(self.filename)
        return self if name == self.filename else msgspec.structs.replace(self, filename=name)


class InstanceRow(Row):
    """An annotated thing."""

    category_token: str


class CategoryRow(Row):
    """A kind of things; ``index`` is its number in nuScenes-lidarseg's files."""

    name: str
    index: Annotated[int, Meta(ge=0, lt=256)] | None = None


class PointCategoriesRow(Row):
    """nuScenes-lidarseg's file for a LiDAR sweep."""

    filename: str
    sample_data_token: str

    def checked(self) -> PointCategoriesRow:
        """The row itself. Raises ValueError where its file is not below the dataset's folder."""
        return msgspec.structs.replace(self, filename=_below(self.filename))


class AnnotationRow(PoseRow):
    """A box."""

    sample_token: str
    instance_token: str
    size: tuple[float, float, float]
