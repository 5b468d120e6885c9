from __future__ import annotations

import dataclasses
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.bags.grids import grid_at, grid_near, images_of
from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.factory import header
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import TopicSettings

TOPIC, SECOND, MS = '/occ/occupancy', 1_000_000_000, 1_000_000
CAMERAS = ('CAM_FRONT', 'CAM_BACK')
MAKE = RosbagsFactory()


def grid_of(stamp: int, label: int) -> SemanticGrid:
    return SemanticGrid(stamp, 'base_link', (0.0, 0.0, 0.0), (1.0, 1.0, 1.0),
                        np.full((2, 3, 4), label, np.uint8, order='F'), None, OCC3D_NUSCENES, 'made', 1, CAMERAS,
                        40 * MS)


@pytest.fixture(scope='module')
def grids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids of class 0, 1, 2 at 1, 2 and 3 s."""
    path = tmp_path_factory.mktemp('bags') / 'grids'
    with bag_writer(path) as bag:
        bag.add_topic(TOPIC, GRID_TYPE)
        for label in range(3):
            bag.write(TOPIC, label, encode.occupancy(grid_of((label + 1) * SECOND, label), MAKE))
    return path


def png(value: int) -> Pixels:
    file = BytesIO()
    Image.new('RGB', (4, 3), (value, 0, 0)).save(file, 'PNG')
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CAM_FRONT compressed, brightness = its tenth of a second; CAM_BACK raw, only at 2.03 s."""
    path = tmp_path_factory.mktemp('bags') / 'drive'
    with bag_writer(path) as bag:
        bag.add_topic('/CAM_FRONT/image/compressed', 'sensor_msgs/msg/CompressedImage')
        bag.add_topic('/CAM_BACK/image', 'sensor_msgs/msg/Image')
        for tenth in range(10, 31):
            bag.write('/CAM_FRONT/image/compressed', tenth, MAKE(
                'sensor_msgs/msg/CompressedImage', header=header(tenth * 100 * MS, 'CAM_FRONT', MAKE), format='png',
                data=png(tenth)))
        bag.write('/CAM_BACK/image', 40, MAKE(
            'sensor_msgs/msg/Image', header=header(2 * SECOND + 30 * MS, 'CAM_BACK', MAKE), height=3, width=4, step=12,
            encoding='rgb8', data=np.full(36, 7, np.uint8)))
    return path


@pytest.mark.parametrize(('index', 'label'), [(0, 0), (2, 2), (-1, 2), (-3, 0)])
def test_grid_by_its_number(grids: Path, index: int, label: int) -> None:
    with bag_reader(grids) as bag:
        grid = grid_at(bag, TOPIC, index)
    assert (grid.labels == label).all()
    assert grid.stamp == (label + 1) * SECOND


@pytest.mark.parametrize('index', [3, -4])
def test_number_beyond_the_grids_is_refused(grids: Path, index: int) -> None:
    with bag_reader(grids) as bag, pytest.raises(GdfusionError, match=f'has 3 grids on {TOPIC}, .* no number {index}'):
        grid_at(bag, TOPIC, index)


@pytest.mark.parametrize(('stamp', 'label'), [(0, 0), (1_600 * MS, 1), (2_400 * MS, 1), (2_600 * MS, 2)])
def test_grid_nearest_to_a_stamp(grids: Path, stamp: int, label: int) -> None:
    with bag_reader(grids) as bag:
        assert grid_near(bag, TOPIC, stamp).stamp == (label + 1) * SECOND


@pytest.mark.parametrize('find', [grid_at, grid_near])
def test_bag_without_grids_says_what_it_has(drive: Path, find: Callable[..., SemanticGrid]) -> None:
    with bag_reader(drive) as bag, pytest.raises(GdfusionError, match=rf'no messages on {TOPIC} .*/CAM_BACK/image '):
        find(bag, TOPIC, 0)


def test_images_of_a_grid_from_both_transports(drive: Path) -> None:
    with bag_reader(drive) as bag:
        images = images_of(bag, grid_of(2 * SECOND, 0), TopicSettings())
    assert images.keys() == set(CAMERAS)
    assert (images['CAM_FRONT'][..., 0] == 20).all()
    assert (images['CAM_BACK'] == 7).all()


def test_images_beyond_the_spread_do_not_belong_to_the_grid(drive: Path) -> None:
    with bag_reader(drive) as bag:
        close = dataclasses.replace(grid_of(2 * SECOND, 0), stamp_spread=29 * MS)
        assert images_of(bag, close, TopicSettings()).keys() == {'CAM_FRONT'}
        assert images_of(bag, grid_of(5 * SECOND, 0), TopicSettings()) == {}
