"""What a nuScenes scene says, as ROS messages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.datasets.nuscenes import Calibration, SensorData
from gdfusion_ros.datasets.nuscenes_rows import Pose
from gdfusion_ros.messages.encode import xyz
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, TF_TYPE
from gdfusion_ros.settings import PipelineSettings

FRAMES = PipelineSettings()
"""Names the frames as node and replay expect them by default."""

_MODELS = {5: 'plumb_bob', 8: 'rational_polynomial'}
"""By the number of coefficients."""
_NO_DISTORTION, _NO_ROTATION = (0.0,) * 5, np.eye(3).ravel()


def camera_info(data: SensorData, make: MessageFactory) -> Message:
    """``sensor_msgs/CameraInfo``: K and the lens's distortion, no rotation, P = [K | 0]. nuScenes' images have none."""
    intrinsics, projection = _matrices(data.calibration.intrinsics)
    distortion = np.array(data.calibration.distortion or _NO_DISTORTION)
    return make(
        CAMERA_INFO_TYPE,
        header=header(data.stamp, data.calibration.channel, make),
        width=data.width,
        height=data.height,
        distortion_model=_MODELS[distortion.size],
        d=make.array(distortion),
        k=make.array(intrinsics),
        r=make.array(_NO_ROTATION),
        p=make.array(projection),
    )


@cache
def _matrices(intrinsics: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """K (9,) and P (12,), row-major."""
    matrix = np.array(intrinsics)
    return matrix, np.hstack([matrix.reshape(3, 3), np.zeros((3, 1))]).ravel()


def ego_transform(data: SensorData, make: MessageFactory) -> Message:
    """``tf2_msgs/TFMessage``: where the vehicle was at the measurement's stamp."""
    transform = _transform(FRAMES.fixed_frame, FRAMES.base_frame, data.stamp, data.ego_pose, make)
    return make(TF_TYPE, transforms=[transform])


def static_transforms(calibrations: Sequence[Calibration], stamp: int, make: MessageFactory) -> Message:
    """``tf2_msgs/TFMessage``: where the sensors are on the vehicle, recorded at ``stamp`` [ns]."""
    return make(
        TF_TYPE,
        transforms=[_transform(FRAMES.base_frame, sensor.channel, stamp, sensor.pose, make) for sensor in calibrations],
    )


def _transform(parent: str, child: str, stamp: int, pose: Pose, make: MessageFactory) -> Message:
    """``geometry_msgs/TransformStamped`` whose ``pose`` maps the child frame into its parent."""
    x, y, z, w = pose.rotation
    transform = make(
        'geometry_msgs/msg/Transform',
        translation=xyz('geometry_msgs/msg/Vector3', pose.translation, make),
        rotation=make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )
    return make(
        'geometry_msgs/msg/TransformStamped',
        header=header(stamp, parent, make),
        child_frame_id=child,
        transform=transform,
    )
