"""Datasets in nuScenes' form as other tools write them: each becomes a bag with all its images."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main

Rows = list[dict[str, Any]]


def edit(folder: Path, table: str, change: Callable[[Rows], Rows]) -> None:
    path = folder / f'{table}.json'
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def each(**change: Callable[[Any], Any]) -> Callable[[Rows], Rows]:
    """Every row with these fields changed."""
    return lambda rows: [row | {field: make(row[field]) for field, make in change.items()} for row in rows]


def with_mark(folder: Path) -> None:
    (folder / 'scene.json').write_bytes(BOM_UTF8 + (folder / 'scene.json').read_bytes())


def without_lidar(folder: Path) -> None:
    edit(folder, 'sample_data', lambda rows: [row for row in rows if 'LIDAR' not in row['calibrated_sensor_token']])


def one_sample_empty(folder: Path) -> None:
    edit(folder, 'sample_data', lambda rows: [row for row in rows if row['sample_token'] != 'sample-scene-0001-1'])


def other_lidar(folder: Path) -> None:
    edit(folder, 'sensor', each(channel=lambda name: 'LIDAR_CONCAT' if name == 'LIDAR_TOP' else name))


def empty_tables_of_boxes(folder: Path) -> None:
    for table in ('instance', 'sample_annotation', 'category'):
        (folder / f'{table}.json').write_text('[]')


DATASETS: dict[str, tuple[Callable[[Path], object], str, int]] = {
    'as nuScenes has it, samples on another disk': (lambda folder: None, 'CAM_FRONT', 18),
    'a mark at the beginning of a file': (with_mark, 'CAM_FRONT', 18),
    'files with a dot before': (lambda folder: edit(folder, 'sample_data', each(filename='./{}'.format)),
                                'CAM_FRONT', 18),
    'backslashes': (lambda folder: edit(folder, 'sample_data', each(filename=lambda name: name.replace('/', '\\'))),
                    'CAM_FRONT', 18),
    'whole numbers as places': (lambda folder: edit(folder, 'ego_pose', each(
        translation=lambda place: [int(value) for value in place])), 'CAM_FRONT', 18),
    'cameras in small letters': (lambda folder: edit(folder, 'sensor', each(channel=str.lower)), 'cam_front', 18),
    'another name of the LiDAR': (other_lidar, 'CAM_FRONT', 18),
    'no LiDAR': (without_lidar, 'CAM_FRONT', 18),
    'a sample without data': (one_sample_empty, 'CAM_FRONT', 12),
    'no boxes in their tables': (empty_tables_of_boxes, 'CAM_FRONT', 18),
    'another name of the tables': (lambda folder: folder.rename(folder.with_name('annotation')), 'CAM_FRONT', 18)}


@pytest.mark.parametrize(('change', 'camera', 'images'), DATASETS.values(), ids=DATASETS)
def test_every_image_of_the_dataset_is_in_the_bag(nuscenes_root: Path, tmp_path: Path,
                                                  change: Callable[[Path], object], camera: str, images: int) -> None:
    root = tmp_path / 'dataset'
    (root / 'v1.0-test').mkdir(parents=True)
    (root / 'samples').symlink_to(nuscenes_root / 'samples')
    for path in (nuscenes_root / 'v1.0-test').iterdir():
        (root / 'v1.0-test' / path.name).write_bytes(path.read_bytes())
    change(root / 'v1.0-test')
    assert main(['convert', str(root), '--out', str(tmp_path / 'bags'), '--scenes', 'scene-0001']) == 0
    with bag_reader(tmp_path / 'bags' / 'scene-0001') as bag:
        topics = [name for name in bag.topics if name.endswith('/image/compressed')]
        assert f'/{camera}/image/compressed' in topics
        assert len(list(bag.raw_messages(topics))) == images
