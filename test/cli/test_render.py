from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Job, plan
from gdfusion_ros.messages import encode
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS


@pytest.fixture(scope='module')
def drive(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    job, = plan(nuscenes.load(nuscenes_root, scenes=('scene-0001',)), tmp_path_factory.mktemp('bags'))
    convert(job)
    return job


@pytest.fixture(scope='module')
def grids(drive: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One grid for each key frame."""
    path = tmp_path_factory.mktemp('grids') / 'grids'
    labels = np.full((10, 10, 4), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:, :, 0] = 11
    with bag_writer(path) as bag:
        bag.add_topic('/occ/occupancy', GRID_TYPE)
        for number, sample in enumerate(drive.scene.samples):
            grid = SemanticGrid(sample.data['CAM_FRONT'].stamp, 'base_link', (-4.0, -4.0, -1.0), (0.8, 0.8, 0.8),
                                labels, None, OCC3D_NUSCENES, 'made', number + 1, SURROUND_CAMERAS, 43_000_000)
            bag.write('/occ/occupancy', grid.stamp, encode.occupancy(grid, RosbagsFactory()))
    return path


def test_last_grid_with_its_images(drive: Job, grids: Path, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'picture.png'
    assert main(['render', str(grids), '--images', str(drive.path), '--out', str(out)]) == 0
    assert Image.open(out).width == 1920
    stamp = drive.scene.samples[-1].data['CAM_FRONT'].stamp
    said = capsys.readouterr().out
    assert f'{stamp // 10**9}.{stamp % 10**9:09d}' in said
    assert 'with 6 camera images' in said


def test_grid_by_number_and_by_stamp_are_the_same_picture(drive: Job, grids: Path, tmp_path: Path) -> None:
    stamp = drive.scene.samples[1].data['CAM_FRONT'].stamp
    for name, which in (('number', ['--index', '1']), ('stamp', ['--stamp', f'{stamp // 10**9}.{stamp % 10**9:09d}'])):
        assert main(['render', str(grids), *which, '--out', str(tmp_path / f'{name}.png')]) == 0
    assert (tmp_path / 'number.png').read_bytes() == (tmp_path / 'stamp.png').read_bytes()


@pytest.mark.parametrize(('arguments', 'said'), [
    (['--index', '7'], 'there is no number 7'),
    (['--topic', '/other'], 'no messages on /other'),
    (['--images', 'SELF'], 'no image of CAM_FRONT_LEFT'),
])
def test_what_cannot_be_rendered_is_one_line(grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                             arguments: list[str], said: str) -> None:
    out = tmp_path / 'picture.png'
    arguments = [str(grids) if argument == 'SELF' else argument for argument in arguments]
    assert main(['render', str(grids), *arguments, '--out', str(out)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count('\n') == 1
    assert not out.exists()


def test_existing_picture_is_kept(grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'picture.png'
    out.write_text('mine')
    assert main(['render', str(grids), '--out', str(out)]) == 1
    assert 'exists already' in capsys.readouterr().err
    assert out.read_text() == 'mine'


def test_stamp_that_is_no_number_is_refused(grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['render', str(grids), '--stamp', 'noon', '--out', str(tmp_path / 'picture.png')])
    assert 'expected seconds, got noon' in capsys.readouterr().err
