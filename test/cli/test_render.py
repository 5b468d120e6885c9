from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.cli import render as verb
from gdfusion_ros.datasets import occ3d
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

pytestmark = pytest.mark.slow

STAMPS = [1_600_000_000_000_000_000 + number * 500_000_000 for number in range(3)]
GroundGrids = Callable[[Sequence[int]], list[SemanticGrid]]
TOPIC = '/occ/occupancy'


def write_grids(path: Path, topic: str, grids: list[SemanticGrid]) -> Path:
    with bag_writer(path) as bag:
        bag.add_topic(topic, GRID_TYPE)
        for grid in grids:
            bag.write(topic, grid.stamp, encode.occupancy(grid, RosbagsFactory()))
    return path


@pytest.fixture(scope='module')
def grids(ground_grids: GroundGrids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three grids, 0.5 s apart."""
    return write_grids(tmp_path_factory.mktemp('bags') / 'grids', TOPIC, ground_grids(STAMPS))


@pytest.fixture(scope='module')
def truth(ground_grids: GroundGrids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as ground truth."""
    return write_grids(tmp_path_factory.mktemp('bags') / 'truth', GROUND_TRUTH_TOPIC, ground_grids(STAMPS))


def seconds(stamp: int) -> str:
    return f'{stamp // 10**9}.{stamp % 10**9:09d}'


def frames_of(page: Path) -> list[dict[str, object]]:
    scripts = re.findall(r'<script type="application/json" class="frame">(.*)</script>', page.read_text('utf-8'))
    return [dict(json.loads(script)) for script in scripts]


def test_the_last_grid_as_a_picture(grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last, chosen = tmp_path / 'last.png', tmp_path / 'chosen.png'
    assert main(['render', str(grids), '--out', str(last)]) == 0
    assert Image.open(last).size == (1920, 1080)
    assert re.fullmatch(rf'{last}: 1 grid, [\d.]+kB\n', capsys.readouterr().out)
    assert main(['render', str(grids), '--stamp', seconds(STAMPS[-1]), '--out', str(chosen)]) == 0
    assert chosen.read_bytes() == last.read_bytes()


def test_grid_by_number_and_by_stamp_are_the_same_picture(grids: Path, tmp_path: Path) -> None:
    for name, which in (('number', ['--index', '1']), ('stamp', ['--stamp', seconds(STAMPS[1] + 99)])):
        assert main(['render', str(grids), *which, '--out', str(tmp_path / f'{name}.png')]) == 0
    assert (tmp_path / 'number.png').read_bytes() == (tmp_path / 'stamp.png').read_bytes()


def test_every_grid_as_a_video_in_real_time(
    grids: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip('av', reason='PyAV is not installed')
    for name, count, rate, arguments in (
        ('real', 3, 2, ['--truth', str(truth)]),
        ('fast', 2, 10, ['--fps', '10', '--max-frames', '2']),
    ):
        out = tmp_path / f'{name}.mp4'
        assert main(['render', str(grids), *arguments, '--out', str(out)]) == 0
        with av.open(str(out)) as file:
            assert (file.streams.video[0].frames, file.streams.video[0].average_rate) == (count, rate)
    assert 'real.mp4: 3 grids with ground truth, ' in capsys.readouterr().out


def test_every_grid_as_a_page(grids: Path, truth: Path, tmp_path: Path) -> None:
    out = tmp_path / 'page.html'
    assert main(['render', str(grids), '--truth', str(truth), '--out', str(out)]) == 0
    frames = frames_of(out)
    assert [frame['stamp'] for frame in frames] == [seconds(stamp) for stamp in STAMPS]
    assert all(frame['truth'] for frame in frames)


def test_a_long_bag_is_thinned_evenly_and_that_is_said(
    grids: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, 'PAGE_FRAMES', 2)
    assert main(['render', str(grids), '--out', str(tmp_path / 'page.html')]) == 0
    assert [frame['stamp'] for frame in frames_of(tmp_path / 'page.html')] == [seconds(STAMPS[0]), seconds(STAMPS[2])]
    assert '2 of 3 grids, evenly taken; --max-frames takes more' in capsys.readouterr().out
    assert main(['render', str(grids), '--max-frames', '3', '--out', str(tmp_path / 'all.html')]) == 0
    assert len(frames_of(tmp_path / 'all.html')) == 3


def test_files_of_the_benchmark_side_by_side(tmp_path: Path) -> None:
    labels = np.full(OCC3D_NUSCENES.grid.shape, OCC3D_NUSCENES.free, np.uint8)
    labels[90:110, 90:110, 2] = 11
    everywhere = np.ones(labels.shape, np.bool_)
    occ3d.write(tmp_path / 'labels.npz', occ3d.Occ3DLabels(labels, everywhere, everywhere))
    np.savez_compressed(tmp_path / 'token.npz', labels)
    out, labelled = tmp_path / 'page.html', tmp_path / 'labels.npz'
    assert main(['render', str(tmp_path / 'token.npz'), '--truth', str(labelled), '--out', str(out)]) == 0
    (frame,) = frames_of(out)
    assert frame['truth'] == frame['prediction']
    assert main(['render', str(labelled), '--out', str(tmp_path / 'labels.png')]) == 0


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--index', '7', '--out', 'a.png'], 'there is no number 7'),
        (['--topic', '/other', '--out', 'a.png'], 'no messages on /other'),
        (['--images', 'GRIDS', '--out', 'a.html'], 'no camera image on'),
        (['--truth', 'GRIDS', '--out', 'a.html'], 'no ground truth on /ground_truth/occupancy'),
        (['--out', 'a.gif'], "unknown format '.gif'; known are .png, .mp4, .html"),
        (['--fps', '2', '--out', 'a.html'], '--fps is the rate of a video'),
        (['--max-frames', '2', '--out', 'a.png'], 'shows one grid'),
    ],
)
def test_what_cannot_be_rendered_is_one_line(
    grids: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(grids) if argument == 'GRIDS' else argument for argument in arguments]
    assert main(['render', str(grids), *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['a.png', 'a.mp4', 'a.html'])
def test_existing_file_is_kept(grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    out = tmp_path / name
    out.write_text('mine')
    assert main(['render', str(grids), '--out', str(out)]) == 1
    assert 'exists already' in capsys.readouterr().err
    assert out.read_text() == 'mine'


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--stamp', 'noon'], 'expected seconds, got noon'),
        (['--fps', 'many'], 'expected a rate, got many'),
        (['--fps', '0'], 'above 0'),
        (['--max-frames', '0'], 'expected a number from 1, got 0'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    grids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        main(['render', str(grids), *arguments, '--out', str(tmp_path / 'a.mp4')])
    assert said in capsys.readouterr().err
