"""Datasets in nuScenes' form as other tools write them: each becomes a bag with all its images."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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


def without_log(folder: Path) -> None:
    (folder / 'log.json').write_text('[]')
    edit(
        folder,
        'scene',
        lambda rows: [
            {key: value for key, value in row.items() if key != 'description'} | {'log_token': ''} for row in rows
        ],
    )


def empty_tables_of_boxes(folder: Path) -> None:
    for table in ('instance', 'sample_annotation', 'category'):
        (folder / f'{table}.json').write_text('[]')


DATASETS: dict[str, tuple[Callable[[Path], object], str, int]] = {
    'as nuScenes has it, samples on another disk': (lambda folder: None, 'CAM_FRONT', 18),
    'a mark at the beginning of a file': (with_mark, 'CAM_FRONT', 18),
    'files with a dot before': (
        lambda folder: edit(folder, 'sample_data', each(filename='./{}'.format)),
        'CAM_FRONT',
        18,
    ),
    'backslashes': (
        lambda folder: edit(folder, 'sample_data', each(filename=lambda name: name.replace('/', '\\'))),
        'CAM_FRONT',
        18,
    ),
    'whole numbers as places': (
        lambda folder: edit(folder, 'ego_pose', each(translation=lambda place: [int(value) for value in place])),
        'CAM_FRONT',
        18,
    ),
    'cameras in small letters': (lambda folder: edit(folder, 'sensor', each(channel=str.lower)), 'cam_front', 18),
    'another name of the LiDAR': (other_lidar, 'CAM_FRONT', 18),
    'no LiDAR': (without_lidar, 'CAM_FRONT', 18),
    'a sample without data': (one_sample_empty, 'CAM_FRONT', 12),
    'no boxes in their tables': (empty_tables_of_boxes, 'CAM_FRONT', 18),
    'no log, and no description': (without_log, 'CAM_FRONT', 18),
    'a LiDAR without width': (
        lambda folder: edit(
            folder,
            'sample_data',
            lambda rows: [row if row['width'] else row | {'width': None, 'height': None} for row in rows],
        ),
        'CAM_FRONT',
        18,
    ),
    'another name of the tables': (lambda folder: folder.rename(folder.with_name('annotation')), 'CAM_FRONT', 18),
}


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    'a file outside': (
        lambda folder: edit(folder, 'sample_data', each(filename='samples/../../{}'.format)),
        "filename 'samples/../../samples/",
    ),
    'an absolute file': (
        lambda folder: edit(folder, 'sample_data', each(filename='/tmp/{}'.format)),
        "filename '/tmp/samples/",
    ),
    'a token outside': (
        lambda folder: edit(folder, 'sample', each(token='../{}'.format)),
        'row ../sample-scene-0001-2 is wrong: tokens name files',
    ),
    'a scene in a folder': (
        lambda folder: edit(folder, 'scene', each(name='town/{}'.format)),
        "name 'town/scene-0001'",
    ),
    'nanoseconds': (
        lambda folder: [
            edit(folder, table, each(timestamp=lambda stamp: 1000 * stamp)) for table in ('sample', 'sample_data')
        ],
        'divide the timestamps of sample',
    ),
    'milliseconds': (
        lambda folder: [
            edit(folder, table, each(timestamp=lambda stamp: stamp // 1000)) for table in ('sample', 'sample_data')
        ],
        'these look like milliseconds',
    ),
    'another size than that of the images': (
        lambda folder: edit(
            folder,
            'sample_data',
            lambda rows: [row | {'width': 1600, 'height': 900} if row['width'] else row for row in rows],
        ),
        'sample_data.json says 1600 x 900',
    ),
}


@pytest.fixture
def dataset(nuscenes_root: Path, tmp_path: Path) -> Path:
    """Its tables may be changed."""
    root = tmp_path / 'dataset'
    (root / 'v1.0-test').mkdir(parents=True)
    (root / 'samples').symlink_to(nuscenes_root / 'samples')
    for path in (nuscenes_root / 'v1.0-test').iterdir():
        (root / 'v1.0-test' / path.name).write_bytes(path.read_bytes())
    return root


@pytest.mark.parametrize(('change', 'said'), REFUSED.values(), ids=REFUSED)
def test_what_would_be_lost_or_misplaced_is_refused_by_row(
    dataset: Path, tmp_path: Path, said: str, change: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    change(dataset / 'v1.0-test')
    assert main(['convert', str(dataset), '--out', str(tmp_path / 'bags')]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('gdfusion convert: ')
    assert said in line
    assert not (tmp_path / 'bags').exists()


def test_png_images_a_lens_and_a_name_with_a_space(dataset: Path, tmp_path: Path) -> None:
    tables, samples = dataset / 'v1.0-test', dataset / 'samples'
    images = len(list(samples.glob('*/*.jpg')))
    source = samples.resolve()
    samples.unlink()
    for path in source.glob('*/*.jpg'):
        target = samples / path.relative_to(source).with_suffix('.png')
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    edit(tables, 'sample_data', each(filename=lambda name: name.replace('.jpg', '.png')))
    edit(tables, 'scene', each(name='Odaiba 1 {}'.format))
    edit(
        tables,
        'calibrated_sensor',
        lambda rows: [
            row | {'camera_distortion': [-0.3, 0.1, 0.001, 0.001, 0.0] if row['camera_intrinsic'] else []}
            for row in rows
        ],
    )
    assert main(['convert', str(dataset), '--out', str(tmp_path / 'bags')]) == 0
    bag = next(path for path in (tmp_path / 'bags').iterdir() if '0001' in path.name)
    with bag_reader(bag) as reader:
        assert len(list(reader.raw_messages(['/CAM_BACK/image/compressed']))) == images // 12
        info = next(message for _, _, message in reader.messages(['/CAM_BACK/camera_info']))
    assert (info.distortion_model, info.d.tolist()) == ('plumb_bob', [-0.3, 0.1, 0.001, 0.001, 0.0])


@pytest.mark.parametrize(('change', 'camera', 'images'), DATASETS.values(), ids=DATASETS)
def test_every_image_of_the_dataset_is_in_the_bag(
    dataset: Path, tmp_path: Path, change: Callable[[Path], object], camera: str, images: int
) -> None:
    change(dataset / 'v1.0-test')
    assert main(['convert', str(dataset), '--out', str(tmp_path / 'bags'), '--scenes', 'scene-0001']) == 0
    with bag_reader(tmp_path / 'bags' / 'scene-0001') as bag:
        topics = [name for name in bag.topics if name.endswith('/image/compressed')]
        assert f'/{camera}/image/compressed' in topics
        assert len(list(bag.raw_messages(topics))) == images
