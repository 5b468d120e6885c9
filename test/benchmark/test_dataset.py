"""The measurements of the reader and the converter measure what they say; the reader needs little memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from gdfusion_ros.benchmark import dataset as benchmark
from gdfusion_ros.benchmark import plain_write
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.plan import plan

pytestmark = pytest.mark.slow


def test_loading_takes_its_share_of_memory() -> None:
    """Of 4 GB for all of v1.0-trainval, beside what Python itself takes."""
    share = 0.02
    result = benchmark.loading(share)
    assert result.scenes == 17
    assert result.sample_data > share * 2_600_000
    assert result.peak_memory < share * 4e9 + 100e6
    assert result.seconds > 0


def test_the_plain_write_has_the_same_images(nuscenes_root: Path, tmp_path: Path) -> None:
    job = plan(nuscenes.load(nuscenes_root), tmp_path)[0]
    assert plain_write.write([(tmp_path / 'plain', benchmark.pictures(job))], 'mcap') > 0
    files = {
        (f'/{channel}/image/compressed', data.stamp): data.path.read_bytes()
        for sample in job.scene.samples
        for channel, data in sample.data.items()
        if channel.startswith('CAM')
    }
    with AnyReader([tmp_path / 'plain'], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        deserialize: Callable[[bytes, str], Any] = reader.deserialize
        assert {
            (c.topic, stamp): deserialize(data, c.msgtype).data.tobytes() for c, stamp, data in reader.messages()
        } == files


def test_compares_every_storage(nuscenes_root: Path) -> None:
    runs: list[None] = []
    results = benchmark.conversion(nuscenes.load(nuscenes_root), 1, lambda: runs.append(None))
    assert [(result.storage, result.scenes) for result in results] == [('mcap', 2), ('sqlite3', 2)]
    assert len(runs) == 4
    for result in results:
        assert result.size == sum(path.stat().st_size for path in nuscenes_root.glob('samples/CAM*/*'))
        assert result.speed == pytest.approx(result.plain / result.convert)
