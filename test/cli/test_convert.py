"""``gdfusion convert`` and ``gdfusion info``, as a user runs them."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from tqdm import tqdm

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main


def test_converts_and_says_what_it_wrote(
    nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path / 'bags')]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[1][:5] == ['v1.0-test:', '2', 'scenes,', '36', 'images,']
    assert ' '.join(printed[2]) == 'not in the dataset, not needed: maps, CAN bus, radar, LiDAR, sweeps, Occ3D labels'
    assert [row[:3] for row in printed[5:7]] == [[f'{tmp_path}/bags/scene-000{n}', '3', '18'] for n in (1, 2)]
    assert printed[7][:2] == ['2', 'bags,']
    assert main(['info', str(tmp_path / 'bags' / 'scene-0001')]) == 0
    printed_info = capsys.readouterr().out
    assert 'nuscenes.scene' in printed_info
    assert '/CAM_BACK_LEFT/image/compressed' in printed_info


def test_converts_the_scenes_that_are_named(nuscenes_root: Path, tmp_path: Path) -> None:
    written = ['--out', str(tmp_path), '--storage', 'sqlite3', '--format', 'humble']
    assert main(['convert', str(nuscenes_root), '--scenes', 'scene-0002', '--version', 'v1.0-test', *written]) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*')} == {
        'scene-0002',
        'scene-0002/scene-0002.db3',
        'scene-0002/metadata.yaml',
    }


def test_says_what_it_skipped(nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / 'nuscenes'
    shutil.copytree(nuscenes_root, root)
    (root / 'samples/CAM_BACK/1600000060489400.jpg').unlink()
    assert main(['convert', str(root), '--out', str(tmp_path / 'bags')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('gdfusion convert: 1 of 36 images are missing or empty: ')
    assert not (tmp_path / 'bags').exists()
    assert main(['convert', str(root), '--out', str(tmp_path / 'bags'), '--skip-missing']) == 0
    assert 'skipped: 1 image missing or empty, 0 scenes without images' in capsys.readouterr().out


@pytest.mark.slow
def test_converts_everything_in_several_processes(
    nuscenes_complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = ['--sweeps', '--lidar', '--annotations', '--labels']
    written = ['--out', str(tmp_path / 'bags'), '--compression', 'storage', '--jobs', '2']
    assert main(['convert', str(nuscenes_complete), *everything, *written]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1:6] for row in printed[5:7]] == [['3', '21', '6', '5', '3'], ['3', '21', '6', '0', '3']]
    assert main(['info', str(tmp_path / 'bags' / 'scene-0001')]) == 0
    printed_info = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['nuscenes.options', 'images,', 'sweeps,', 'lidar,', 'annotations,', 'labels'] in printed_info
    counts = {line[0]: (line[1], line[2]) for line in printed_info if line and line[0].startswith('/')}
    assert counts['/ground_truth/occupancy'] == ('gdfusion_ros/msg/SemanticOccupancyGrid', '3')
    assert counts['/nuscenes/annotations'] == ('visualization_msgs/msg/MarkerArray', '3')
    assert counts['/LIDAR_TOP/points'] == ('sensor_msgs/msg/PointCloud2', '6')
    assert counts['/CAM_FRONT/image/compressed'] == ('sensor_msgs/msg/CompressedImage', '6')


def test_goes_on_where_it_was_stopped(nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['convert', str(nuscenes_root), '--out', str(tmp_path), '--resume']
    assert main([*arguments, '--scenes', 'scene-0002']) == 0
    before = (tmp_path / 'scene-0002' / 'metadata.yaml').stat().st_mtime_ns
    capsys.readouterr()
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert '1 of 2 bags are there' in printed
    assert f'{tmp_path}/scene-0002' not in printed
    assert (tmp_path / 'scene-0001').is_dir()
    assert (tmp_path / 'scene-0002' / 'metadata.yaml').stat().st_mtime_ns == before
    assert main(arguments) == 0
    assert '2 of 2 bags are there' in capsys.readouterr().out


def test_bags_with_another_content_are_not_taken_for_finished(
    nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['convert', str(nuscenes_root), '--out', str(tmp_path), '--resume']
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, '--lidar']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f'{tmp_path}/scene-0001 is not what shall be made (images, lidar), it has images; remove it' in line


@pytest.mark.parametrize('out', ['file', 'file/bags'])
def test_a_folder_that_cannot_be_written_is_named(
    nuscenes_root: Path, tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'file').touch()
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path / out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'cannot be written' in line
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--jobs', '0'], '--jobs 0: expected at least 1'),
        (['--storage', 'sqlite3', '--compression', 'storage'], 'sqlite3 cannot compress by itself'),
        (['--scenes', 'scene-0003..scene-0009'], 'no scene scene-0003..scene-0009'),
    ],
)
def test_options_that_make_no_sense(
    nuscenes_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path / 'bags'), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'arguments', [['convert', 'nowhere', '--out', 'x'], ['info', 'nowhere'], ['convert', '.', '--out', 'x']]
)
def test_errors_are_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'gdfusion {arguments[0]}: no ')
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_only_whole_bags(
    nuscenes_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
