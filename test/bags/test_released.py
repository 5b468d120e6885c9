"""LiDAR stamps for the released protocol."""

from __future__ import annotations

from pathlib import Path

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.released import lidar_stamps

SAMPLES = [1_600_000_060_000_000_000 + index * 500_000_000 for index in range(3)]


def test_a_camera_stamp_leads_to_its_key_frame(scene_bag: Path) -> None:
    with bag_reader(scene_bag) as bag:
        lidar_stamp = lidar_stamps(bag)
    assert [lidar_stamp(sample - 35_700_000) for sample in SAMPLES] == SAMPLES
    assert lidar_stamp(SAMPLES[1]) == SAMPLES[1]
    assert lidar_stamp(SAMPLES[1] + 90_000_000) == SAMPLES[1]


def test_far_from_every_key_frame_there_is_none(scene_bag: Path) -> None:
    with bag_reader(scene_bag) as bag:
        lidar_stamp = lidar_stamps(bag)
    assert lidar_stamp(SAMPLES[0] - 101_000_000) is None
    assert lidar_stamp(SAMPLES[1] + 250_000_000) is None
    assert lidar_stamp(SAMPLES[2] + 60_000_000_000) is None
