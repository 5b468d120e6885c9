"""``gdfusion demo``, as a user runs it: over DDS, with a node in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.snapshots import Sources, bag_snapshots
from gdfusion_ros.cli import main
from gdfusion_ros.ros import environment
from gdfusion_ros.visualization.snapshot import Parts

SMALL = ('--model', 'bevdetocc_gf_small')


def run_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'gdfusion_ros', 'demo', '--out', str(out), '--device', 'cpu', *arguments]
    variables = environment.for_child(os.environ | {'ROS_LOG_DIR': str(out.parent / 'log')})
    variables.pop('ROS_DOMAIN_ID', None)
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_a_made_scene_goes_the_whole_way(tmp_path: Path) -> None:
    out = tmp_path / 'demo'
    done = run_demo(out, '--frames', '3')
    assert done.returncode == 0, done.stderr
    assert 'gdfusion_nano (trained on the synthetic world): 3 grids of 3 camera sets' in done.stdout
    assert re.search(r'^at full load: \d+\.\d grids a second$', done.stdout, re.MULTILINE)
    assert re.search(r'^key frames scored +3$', done.stdout, re.MULTILINE)
    scores = (out / 'scores.md').read_text()
    assert all(f'| {name} ' in scores for name in ('mIoU', 'mIoU_D', 'IoU', 'RayIoU', 'vegetation'))
    with bag_snapshots(Sources(out / 'grids', '/occ/occupancy', (out / 'bags' / 'scene-0001',))) as frames:
        assert frames.parts == Parts(truth=True, images=True)
    with bag_reader(out / 'bags' / 'scene-0001') as bag:
        assert 'CC0' in bag.custom_data['nuscenes.license']
    for name in ('last_grid.png', 'drive.mp4', 'drive.html'):
        assert (out / name).stat().st_size > 10_000


def test_every_camera_set_of_a_dataset_gives_one_grid(nuscenes_root: Path, tmp_path: Path) -> None:
    out = tmp_path / 'demo'
    out.mkdir()
    (out / '.gdfusion-demo').touch()
    (out / 'last_grid.png').write_text('of an earlier demo')
    (out / 'mine.txt').write_text('not of a demo')
    done = run_demo(
        out, '--nuscenes', str(nuscenes_root), '--untrained', '--storage', 'sqlite3', '--format', 'humble', *SMALL
    )
    assert done.returncode == 0, done.stderr + (out / 'node.log').read_text()
    table = {
        words[0].strip(): words[1]
        for words in (line.rsplit('  ', 1) for line in done.stdout.splitlines())
        if len(words) == 2
    }
    assert [table[name].strip() for name in ('images in', 'camera sets made', 'grids out')] == ['36', '6', '6']
    assert '6 grids of 6 camera sets' in done.stdout
    assert 'Traceback' not in done.stderr + (out / 'node.log').read_text()
    for path in (out / 'grids', out / 'bags' / 'scene-0001'):
        content = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
        assert (content['storage_identifier'], content['version']) == ('sqlite3', 8)
    with bag_reader(out / 'grids') as bag:
        assert [offer.durability.name for offer in bag.topics['/occ/label_info'].qos] == ['TRANSIENT_LOCAL']
        counts = {topic.name: topic.count for topic in bag.topics.values()}
        assert [counts[f'/occ/{name}'] for name in ('occupancy', 'points', 'bev', 'debug/latency', 'label_info')] == [
            6,
            6,
            6,
            6,
            1,
        ]
        assert counts['/occ/markers'] >= 6  # the node takes the markers away when it stops
    with bag_snapshots(Sources(out / 'grids', '/occ/occupancy')) as frames:
        assert frames[len(frames) - 1].grid.model == 'bevdetocc_gf_small (untrained)'
    assert Image.open(out / 'last_grid.png').width == 1920
    assert 'no ground truth to compare with' in done.stdout
    assert not (out / 'scores.md').exists()
    assert (out / 'mine.txt').read_text() == 'not of a demo'


def test_a_node_that_fails_is_named_with_its_last_words(nuscenes_root: Path, tmp_path: Path) -> None:
    (tmp_path / 'broken.pth').write_bytes(b'no weights')
    done = run_demo(
        tmp_path / 'demo',
        '--nuscenes',
        str(nuscenes_root),
        '--weights',
        str(tmp_path / 'broken.pth'),
        '--scenes',
        'scene-0001',
        *SMALL,
    )
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith('gdfusion demo: the node ended with exit code 1')
    assert 'broken.pth' in error
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'demo' / 'grids').exists()


def test_scenes_are_of_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'environ', os.environ.copy())
    assert main(['demo', '--untrained', '--scenes', 'scene-0001', '--out', str(tmp_path / 'demo')]) == 1
    assert 'give --nuscenes DIR' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (('--untrained', '--weights', 'w.pth'), 'drop one'),
        (('--weights', 'nowhere.pth'), 'there are no weights nowhere.pth'),
    ],
)
def test_a_model_that_cannot_be_had_ends_it_before_the_work(
    nuscenes_root: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, 'environ', os.environ.copy())
    out = tmp_path / 'demo'
    assert main(['demo', '--nuscenes', str(nuscenes_root), '--out', str(out), *arguments]) == 1
    assert reason in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_that_is_not_a_demo_is_left_alone(
    nuscenes_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'environ', os.environ.copy())
    (tmp_path / 'bags').mkdir()
    assert main(['demo', '--nuscenes', str(nuscenes_root), '--out', str(tmp_path), '--untrained']) == 1
    assert 'is not empty and not of an earlier demo' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['bags']
