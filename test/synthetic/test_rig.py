"""Cameras and LiDAR on the vehicle, and when they fire."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gdfusion_ros.synthetic import rig
from gdfusion_ros.synthetic.drive import Drive
from gdfusion_ros.synthetic.rig import CAMERAS, LIDAR, OFFSETS
from gdfusion_ros.synthetic.world import Trajectory


def test_a_flat_image_is_the_lower_part_of_a_full_one() -> None:
    full, flat = (rig.build(*size, np.random.default_rng(4)) for size in ((1600, 900), (704, 256)))
    for camera in CAMERAS:
        large, small = full.sensors[camera].intrinsics, flat.sensors[camera].intrinsics
        assert large is not None
        assert small is not None
        # Scaled to a width of 704 the image is 396 rows high; the upper 140 are cut.
        np.testing.assert_allclose(small[:2], large[:2] * 0.44 - [[0, 0, 0], [0, 0, 140]], atol=1e-9)
        np.testing.assert_array_equal(full.sensors[camera].ego_from_sensor, flat.sensors[camera].ego_from_sensor)


@pytest.mark.parametrize(
    ('camera', 'yaw'),
    [
        ('CAM_FRONT', 0),
        ('CAM_FRONT_LEFT', 55),
        ('CAM_FRONT_RIGHT', -55),
        ('CAM_BACK_LEFT', 110),
        ('CAM_BACK_RIGHT', -110),
        ('CAM_BACK', 180),
    ],
)
def test_where_cameras_look(camera: str, yaw: float) -> None:
    pose = rig.build(704, 256, np.random.default_rng(0)).sensors[camera].ego_from_sensor
    forward = [math.cos(math.radians(yaw)), math.sin(math.radians(yaw)), 0]
    np.testing.assert_allclose(pose[:3, 2], forward, atol=0.01)
    np.testing.assert_allclose(pose[:3, 1], [0, 0, -1], atol=0.01)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_the_body_pitches_when_it_brakes_and_leans_in_a_bend() -> None:
    times = np.arange(0, 4, 0.1)
    braking = Trajectory(times, np.column_stack([10 * times - 1.5 * times**2, 0 * times, 0 * times]))
    assert rig.ego_pose(braking, 1.5)[2, 0] == pytest.approx(-0.0036, abs=0.0003)  # 3 m/s2: the x axis points down
    angles = 0.5 * times
    bend = Trajectory(times, np.column_stack([20 * np.sin(angles), 20 - 20 * np.cos(angles), angles]))  # left, 10 m/s
    pose = rig.ego_pose(bend, 1.5)
    assert pose[2, 1] == pytest.approx(0.0036, abs=0.0004)  # 5 m/s2, as for 3: the left side rises
    np.testing.assert_allclose(pose[:2, 3], bend.at(1.5)[:2])


def test_cameras_fire_before_the_lidar_and_sweeps_lie_between(planned: Drive) -> None:
    for channel, offset in OFFSETS.items():
        shots = [shot for shot in planned.shots if shot.channel == channel]
        assert [shot.stamp - offset for shot in shots if shot.key] == planned.key_stamps.tolist()
        steps = np.diff([shot.stamp for shot in shots])
        assert (steps > 0).all()
        rate = 20 if channel == LIDAR else 12
        assert abs(1e6 / steps.mean() - rate) < 1.2
    period = np.diff(planned.key_stamps)
    assert ((period >= 450_000) & (period <= 550_000)).all()
