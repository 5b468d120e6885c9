"""A live node whose network looks at LiDAR depth: clouds over DDS, none, and a damaged one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import RawMessage
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.messages.clouds import CLOUD_TYPE

POINTS = '/LIDAR_TOP/points'

LOOKING = """
from dataclasses import replace
from gdfusion_ros.model import zoo

entry = zoo.ZOO['gdfusion_nano']
zoo.ZOO['gdfusion_nano'] = replace(entry, spec=replace(entry.spec, lidar_depth=True))
"""
"""What makes the small network of the live node say that it looks at LiDAR depth."""


@pytest.fixture(scope='module', autouse=True)
def _looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp('site')
    (folder / 'sitecustomize.py').write_text(LOOKING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', os.pathsep.join(filter(None, (str(folder), os.environ.get('PYTHONPATH')))))
        yield


@pytest.fixture(scope='module')
def swept(nuscenes_complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 3 key frames with clouds."""
    [job] = plan(
        nuscenes.load(nuscenes_complete, scenes=('scene-0001',)), tmp_path_factory.mktemp('swept'), Content(lidar=True)
    )
    convert(job)
    return job.path


def test_clouds_go_in_and_their_absence_is_named(
    live: Any, swept: Path, edited: Callable[..., Path], replayed: Callable[[Path], Any]
) -> None:
    expected = replayed(swept)
    assert live.play(swept, 3).differences(expected) == []
    assert (live.values('lidar')['received'], live.values('lidar')['sets without it']) == ('3', '0')

    clouds: list[RawMessage] = []

    def empty_the_second(message: RawMessage) -> RawMessage:
        if message.topic != POINTS:
            return message
        clouds.append(message)
        cloud: Any = typestore().deserialize_cdr(message.data, CLOUD_TYPE)
        if len(clouds) == 2:
            cloud.width, cloud.row_step, cloud.data = 0, 0, np.zeros(0, np.uint8)
        return message._replace(data=bytes(typestore().serialize_cdr(cloud, CLOUD_TYPE)))

    damaged = edited(swept, empty_the_second)
    grids = live.play(damaged, 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]], 'it costs its set only'
    assert f'{POINTS} at ' in live.values('inputs')[f'last: {POINTS}']
    assert live.values('sets')['dropped: lidar'] == '1'
    status = live.diagnosis('lidar', lambda status: status.level != DiagnosticStatus.OK)
    assert f'on {POINTS}' in status.message
