"""What a nuScenes scene says, as ROS messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdfusion_ros.datasets.nuscenes import Calibration, Pose, SensorData
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE, TF_TYPE
from gdfusion_ros.settings import PipelineSettings

FRAMES = PipelineSettings()
"""Names the frames as node and replay expect them by default."""


def camera_info(data: SensorData, make: MessageFactory) -> Message:
    """``sensor_msgs/CameraInfo`` of a rectified image: no distortion, no rotation, P = [K | 0]."""
    intrinsics = np.array(data.calibration.intrinsics)
    projection = np.hstack([intrinsics.reshape(3, 3), np.zeros((3, 1))])
    return make(CAMERA_INFO_TYPE, header=header(data.stamp, data.calibration.channel, make),
                width=data.width, height=data.height, distortion_model='plumb_bob', d=make.array(np.zeros(5)),
                k=make.array(intrinsics), r=make.array(np.eye(3).ravel()), p=make.array(projection.ravel()))


def ego_transform(data: SensorData, make: MessageFactory) -> Message:
    """``tf2_msgs/TFMessage``: where the vehicle was at the measurement's stamp."""
    transform = _transform(FRAMES.fixed_frame, FRAMES.base_frame, data.stamp, data.ego_pose, make)
    return make(TF_TYPE, transforms=[transform])


def static_transforms(calibrations: Sequence[Calibration], stamp: int, make: MessageFactory) -> Message:
    """``tf2_msgs/TFMessage``: where the sensors are on the vehicle, recorded at ``stamp`` [ns]."""
    return make(TF_TYPE, transforms=[_transform(FRAMES.base_frame, sensor.channel, stamp, sensor.pose, make)
                                     for sensor in calibrations])


def _transform(parent: str, child: str, stamp: int, pose: Pose, make: MessageFactory) -> Message:
    """``geometry_msgs/TransformStamped`` whose ``pose`` maps the child frame into its parent."""
    (x, y, z), (qx, qy, qz, qw) = pose.translation, pose.rotation
    transform = make('geometry_msgs/msg/Transform', translation=make('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                     rotation=make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw))
    return make('geometry_msgs/msg/TransformStamped', header=header(stamp, parent, make), child_frame_id=child,
                transform=transform)
