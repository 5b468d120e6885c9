"""nuScenes-lidarseg: from the tables to the classes of a sweep's points."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gdfusion_ros.datasets import lidarseg, nuscenes
from gdfusion_ros.datasets.nuscenes import PointCategories
from gdfusion_ros.errors import GdfusionError

NAMES = {
    0: 'noise',
    1: 'animal',
    4: 'human.pedestrian.police_officer',
    17: 'vehicle.car',
    24: 'flat.driveable_surface',
    25: 'flat.other',
    26: 'flat.sidewalk',
    27: 'flat.terrain',
    28: 'static.manmade',
    29: 'static.other',
    30: 'static.vegetation',
    31: 'vehicle.ego',
}


@pytest.fixture
def root(nuscenes_root: Path, tmp_path: Path) -> Path:
    """The synthetic folder with the categories of one sweep."""
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    sample = nuscenes.load(root).scenes[0].samples[1]
    version = nuscenes.load(root).version
    tables = {
        'category': [{'token': f'c{index}', 'name': name, 'index': index} for index, name in NAMES.items()],
        'lidarseg': [
            {'token': 'a', 'filename': r'lidarseg\a.bin', 'sample_data_token': sample.data['LIDAR_TOP'].token},
            {'token': 'b', 'filename': 'lidarseg/b.bin', 'sample_data_token': 'of another scene'},
        ],
    }
    for name, rows in tables.items():
        (root / version / f'{name}.json').write_text(json.dumps(rows))
    (root / 'lidarseg').mkdir()
    (root / 'lidarseg' / 'a.bin').write_bytes(bytes(NAMES))
    return root


def test_classes_of_the_points_of_one_sweep(root: Path) -> None:
    first, second, *_ = nuscenes.load(root).scenes[0].samples
    assert first.data['LIDAR_TOP'].categories is None
    assert second.data['CAM_FRONT'].categories is None
    categories = second.data['LIDAR_TOP'].categories
    assert categories is not None
    assert lidarseg.read(categories, len(NAMES)).tolist() == [0, 0, 7, 4, 11, 12, 13, 14, 15, 0, 16, 0]


@pytest.mark.parametrize(
    ('points', 'content', 'message'),
    [
        (3, b'\x00\x01', r'a\.bin has categories of 2 points, but the sweep has 3'),
        (2, b'\x00\x63', r"a\.bin has points of category 99, which is no 'index'"),
        (2, None, r'a\.bin cannot be read: No such file'),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, points: int, content: bytes | None, message: str) -> None:
    path = tmp_path / 'a.bin'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GdfusionError, match=f'^[^\n]*{message}[^\n]*$'):
        lidarseg.read(PointCategories(path, NAMES), points)
