"""``gdfusion convert`` and ``gdfusion info``, as a user runs them."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from tqdm import tqdm

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main


def test_converts_and_says_what_it_wrote(nuscenes_root: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path / 'bags')]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[1][:5] == ['v1.0-made:', '2', 'scenes,', '36', 'images,']
    assert ' '.join(printed[2]) == 'not in the dataset, not needed: maps, CAN bus, radar, LiDAR, sweeps, Occ3D labels'
    assert [row[:3] for row in printed[5:7]] == [[f'{tmp_path}/bags/scene-000{n}', '3', '18'] for n in (1, 2)]
    assert printed[7][:2] == ['2', 'bags,']
    assert main(['info', str(tmp_path / 'bags' / 'scene-0001')]) == 0
    printed_info = capsys.readouterr().out
    assert 'nuscenes.scene' in printed_info
    assert '/CAM_BACK_LEFT/image/compressed' in printed_info


def test_converts_the_scenes_that_are_named(nuscenes_root: Path, tmp_path: Path) -> None:
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path), '--scenes', 'scene-0002',
                 '--storage', 'sqlite3', '--format', 'humble', '--version', 'v1.0-made']) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*')} == {
        'scene-0002', 'scene-0002/scene-0002.db3', 'scene-0002/metadata.yaml'}


def test_says_what_it_skipped(nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    (root / 'samples/CAM_BACK/1600000060489400.jpg').unlink()
    assert main(['convert', str(root), '--out', str(tmp_path / 'bags')]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('gdfusion convert: 1 of 36 images are missing or empty: ')
    assert not (tmp_path / 'bags').exists()
    assert main(['convert', str(root), '--out', str(tmp_path / 'bags'), '--skip-missing']) == 0
    assert 'skipped: 1 images that are missing or empty, 0 scenes without images' in capsys.readouterr().out


@pytest.mark.parametrize('arguments', [
    ['convert', 'nowhere', '--out', 'x'], ['info', 'nowhere'], ['convert', '.', '--out', 'x']])
def test_errors_are_one_line(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'gdfusion {arguments[0]}: no ')
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_only_whole_bags(nuscenes_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    images = itertools.count(1)

    def interrupted(*_: object) -> None:
        if next(images) == 20:  # the second image of the second scene
            raise KeyboardInterrupt

    monkeypatch.setattr(tqdm, 'update', interrupted)
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path / 'bags')]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == 'gdfusion convert: stopped'
    assert [path.name for path in (tmp_path / 'bags').iterdir()] == ['scene-0001']
    with bag_reader(tmp_path / 'bags' / 'scene-0001') as bag:
        assert bag.count(['/CAM_BACK/camera_info']) == 3
