"""Bags with grids as others might make them: the verb draws them, or refuses in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.outputs import OCCUPANCY
from gdfusion_ros.perception.labels import OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS

START = 1_600_000_000_000_000_000
TOPIC = '/occ/occupancy'
Change = Callable[[Any], object]


def grid(labels: Any, number: int = 0) -> SemanticGrid:
    return SemanticGrid(
        START + number * 500_000_000,
        'base_link',
        (-4.0, -4.0, -1.0),
        (0.8, 0.8, 0.8),
        np.asfortranarray(labels, np.uint8),
        None,
        OCC3D_NUSCENES,
        'made',
        1,
        SURROUND_CAMERAS,
        1,
    )


def bag_of(path: Path, grids: list[SemanticGrid], change: Change = lambda message: None) -> Path:
    """A bag of ``grids``; ``change(message)`` edits every message before it is written."""
    with bag_writer(path) as bag:
        bag.add_topic(TOPIC, OCCUPANCY.type_name)
        for item in grids:
            message = encode.occupancy(item, RosbagsFactory())
            change(message)
            bag.write(TOPIC, item.stamp, message)
    return path


@pytest.fixture(scope='module')
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row, nothing known, none of the classes, a huge one (see test/visualization/test_odd_grids.py for more)."""
    labels = [np.full((1000, 1, 1), 4), np.full((4, 3, 2), UNKNOWN), np.full((4, 3, 2), 200), np.full((4, 3, 2), 4)]
    grids = [grid(values, number) for number, values in enumerate(labels)]
    grids[3] = dataclasses.replace(grids[3], voxel_size=(1e4, 1e4, 1e4))
    return bag_of(tmp_path_factory.mktemp('odd') / 'odd', grids)


@pytest.mark.parametrize('name', ['a.png', 'a.html', 'a.mp4'])
def test_odd_grids_are_drawn(odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    if name == 'a.mp4':
        pytest.importorskip('av', reason='PyAV is not installed')
    assert main(['render', str(odd), '--out', str(tmp_path / name)]) == 0
    assert f'{1 if name == "a.png" else 4} grid' in capsys.readouterr().out


def no_voxels(message: Any) -> None:
    message.size_x, message.labels = 0, np.zeros(0, np.uint8)


def huge_size(message: Any) -> None:
    message.size_x = message.size_y = message.size_z = (1 << 32) - 1


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (no_voxels, 'expected 0 x 3 x 2'),
        (huge_size, 'has 24 values, expected 4294967295 x 4294967295 x 4294967295'),
        (lambda message: setattr(message.voxel_size, 'y', 0.0), 'voxels of (0.8, 0.0, 0.8) m'),
        (lambda message: setattr(message.voxel_size, 'y', 1e300), 'no picture shows that'),
        (lambda message: setattr(message.origin.position, 'x', 1e300), 'no picture shows that'),
        (lambda message: setattr(message.origin.position, 'x', float('nan')), 'are nowhere'),
        (lambda message: setattr(message, 'label_set', 'x\x1b[2J'), r"unknown label set 'x\x1b[2J'"),
    ],
)
def test_what_is_no_grid_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, said: str
) -> None:
    bag = bag_of(tmp_path / 'bag', [grid(np.full((4, 3, 2), 4))], change)
    for name in ('a.png', 'a.html'):
        assert main(['render', str(bag), '--out', str(tmp_path / name)]) == 1
        line = capsys.readouterr().err
        assert said in line
        assert 'at 1600000000.000000000' in line
        assert line.count('\n') == 1
        assert line.rstrip('\n').isprintable()
    assert list(tmp_path.iterdir()) == [bag]
