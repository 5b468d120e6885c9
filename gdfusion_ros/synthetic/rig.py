"""The sensors of the vehicle that films: six cameras and a LiDAR, mounted and timed like nuScenes' own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.synthetic.world import PinholeCamera, Trajectory

LIDAR = 'LIDAR_TOP'
OFFSETS = {
    'CAM_FRONT_LEFT': -43_300,
    'CAM_FRONT': -35_700,
    'CAM_FRONT_RIGHT': -27_800,
    'CAM_BACK_RIGHT': -20_200,
    'CAM_BACK': -10_600,
    'CAM_BACK_LEFT': -800,
    LIDAR: 0,
}
"""Channel -> when it fires, after LIDAR_TOP [us]."""

CAMERAS = tuple(channel for channel in OFFSETS if channel != LIDAR)

_MOUNTS = {
    'CAM_FRONT_LEFT': ((1.524, 0.495, 1.509), 55.0, 1266.0),
    'CAM_FRONT': ((1.701, 0.016, 1.511), 0.0, 1266.0),
    'CAM_FRONT_RIGHT': ((1.551, -0.493, 1.496), -55.0, 1266.0),
    'CAM_BACK': ((0.028, 0.003, 1.579), 180.0, 809.0),
    'CAM_BACK_RIGHT': ((1.015, -0.481, 1.562), -110.0, 1266.0),
    'CAM_BACK_LEFT': ((1.036, 0.485, 1.591), 110.0, 1266.0),
}
"""Camera -> place in the ego frame [m], yaw [deg], focal length [px] of an image 1600 px wide."""

_LIDAR_MOUNT = ((0.944, 0.0, 1.840), -90.0)
_CENTRE_ROW = 491 / 900  # height of the optical centre in an image of 16:9
_PITCH, _ROLL = 0.0012, 0.0012  # [rad] of the body for 1 m/s2 along and across
_HARDEST = 3.0  # [m/s2] beyond which the body gives no more: the grid's level ground stays in one layer of voxels
_PITCH_STEP = 0.25  # [s] over which the acceleration is taken


@dataclass(frozen=True, eq=False)
class Sensor:
    """A mounted sensor: (4, 4) sensor frame (a camera's is the optical frame) -> ego frame, and a camera's (3, 3)
    intrinsics [px]."""

    ego_from_sensor: Matrix
    intrinsics: Matrix | None


@dataclass(frozen=True, eq=False)
class Rig:
    """The sensors by channel, and the size of the images [px]."""

    sensors: Mapping[str, Sensor]
    width: int
    height: int

    def view(self, channel: str, world_from_ego: Matrix) -> PinholeCamera:
        """What a camera sees from a pose of the vehicle."""
        sensor = self.sensors[channel]
        if sensor.intrinsics is None:
            raise ValueError(f'{channel} is no camera')
        return PinholeCamera(self.width, self.height, sensor.intrinsics, world_from_ego @ sensor.ego_from_sensor)


def build(width: int, height: int, rng: Generator) -> Rig:
    """A rig that differs a little from every other: by a centimetre, a third of a degree, a hundredth of the focal
    length.

    An image flatter than 16:9 lacks its upper part: 704x256 is what a network sees that scales 1600x900 to 704 px and
    takes the lower 256 rows.
    """
    sensors = {}
    for channel, (place, yaw, focal) in _MOUNTS.items():
        length = focal / 1600 * width * rng.uniform(0.99, 1.01)
        u = width / 2 + 0.01 * width * rng.uniform(-1, 1)
        v = _CENTRE_ROW * width * 9 / 16 + 0.01 * width * rng.uniform(-1, 1) - (width * 9 / 16 - height)
        intrinsics = np.array([[length, 0.0, u], [0.0, length, v], [0.0, 0.0, 1.0]])
        sensors[channel] = Sensor(_mounted(place, _facing(yaw), rng), intrinsics)
    place, yaw = _LIDAR_MOUNT
    sensors[LIDAR] = Sensor(_mounted(place, _turn(2, math.radians(yaw)), rng), None)
    return Rig(sensors, width, height)


def ego_pose(trajectory: Trajectory, time: float) -> Matrix:
    """(4, 4) ego frame -> world frame; braking lowers the vehicle's nose, a bend leans it outward."""
    samples = np.array([trajectory.at(time + step) for step in (-_PITCH_STEP, 0.0, _PITCH_STEP)])
    x, y, yaw = samples[1]
    acceleration = (samples[2, :2] - 2 * samples[1, :2] + samples[0, :2]) / _PITCH_STEP**2
    along, across = np.clip(acceleration @ _turn(2, yaw)[:2, :2], -_HARDEST, _HARDEST)
    pose = np.eye(4)
    pose[:3, :3] = _turn(2, yaw) @ _turn(1, -_PITCH * along) @ _turn(0, _ROLL * across)
    pose[:2, 3] = x, y
    return pose


def _mounted(place: tuple[float, float, float], rotation: Matrix, rng: Generator) -> Matrix:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    for axis in range(3):
        pose[:3, :3] = _turn(axis, math.radians(rng.uniform(-0.3, 0.3))) @ pose[:3, :3]
    pose[:3, 3] = place + rng.uniform(-0.01, 0.01, 3)
    return pose


def _facing(yaw: float) -> Matrix:
    """(3, 3) optical frame (x right, y down, z forward) -> frame with z up, looking along ``yaw`` [deg]."""
    optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    return np.asarray(_turn(2, math.radians(yaw)) @ optical, np.float64)


def _turn(axis: int, angle: float) -> Matrix:
    """(3, 3) rotation round a coordinate axis."""
    c, s = math.cos(angle), math.sin(angle)
    result = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    result[[first, first, second, second], [first, second, first, second]] = c, -s, s, c
    return result
