"""``gdfusion replay``, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.cli import main
from gdfusion_ros.perception.runners import torch as torch_runner

pytestmark = pytest.mark.slow

UNTRAINED = ('--model', 'gdfusion_nano', '--untrained', '--device', 'cpu')


@pytest.fixture
def bag(nuscenes_root: Path, tmp_path: Path) -> Path:
    assert main(['convert', str(nuscenes_root), '--out', str(tmp_path), '--scenes', 'scene-0001']) == 0
    return tmp_path / 'scene-0001'


def test_replays_and_says_what_it_did(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['replay', str(bag), '--out', str(tmp_path / 'grids'), *UNTRAINED, '--set', 'keyframe_interval=1.0']
    assert main([*arguments, '--released-protocol']) == 0
    printed = capsys.readouterr().out.splitlines()[-7:]
    assert [' '.join(line.split()) for line in printed[:-2]] == [
        'images in 18',
        'sets made 3',
        'dropped: between_keyframes 1',
        'grids out 2',
        'resets of the memory 0',
    ]
    assert printed[-1] == f'gdfusion_nano (untrained), released protocol: 2 grids in {tmp_path}/grids'
    with bag_reader(tmp_path / 'grids') as reader:
        assert reader.count(['/occ/occupancy']) == 2


def test_writes_the_form_that_is_asked_for(bag: Path, tmp_path: Path) -> None:
    arguments = ['replay', str(bag), '--out', str(tmp_path / 'grids'), *UNTRAINED, '--set', 'keyframe_interval=9']
    assert main([*arguments, '--storage', 'sqlite3', '--format', 'humble']) == 0
    assert (tmp_path / 'grids' / 'grids.db3').is_file()
    information = yaml.safe_load((tmp_path / 'grids' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert (information['version'], information['storage_identifier']) == (8, 'sqlite3')
    with bag_reader(tmp_path / 'grids') as reader:
        assert len(list(reader.messages(['/occ/occupancy']))) == 1


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--untrained', '--model', 'nope'], "unknown model 'nope'"),
        (['--model', 'bevdetocc_gf_small'], 'needs weights'),
        (['--untrained', '--set', 'image_transport=raw'], 'has no messages on /CAM_FRONT_LEFT/image (sensor_msgs'),
        (['--untrained', '--set', 'sync_tolerance=-1'], "setting 'sync_tolerance'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    capsys.readouterr()
    assert (
        main(['replay', str(bag), '--out', str(tmp_path / 'grids'), '--model', 'bevdetocc_gf_small', *arguments]) == 1
    )
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('gdfusion replay: ')
    assert reason in line
    assert {path.name for path in tmp_path.iterdir()} == {'scene-0001'}


def test_three_unexpected_errors_in_a_row_end_it_with_one_line(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise IndexError('list index out of range')

    monkeypatch.setattr(torch_runner, 'normalize', broken)
    capsys.readouterr()
    assert (
        main(
            [
                'replay',
                str(bag),
                '--out',
                str(tmp_path / 'grids'),
                '--model',
                'bevdetocc_gf_small',
                '--untrained',
                '--device',
                'cpu',
            ]
        )
        == 1
    )
    said = [line for line in capsys.readouterr().err.splitlines() if 'IndexError' in line]
    assert [line.startswith('refused: set at ') for line in said] == [True, True, False]
    assert said[2].startswith('gdfusion replay: set at ')
    assert said[2].endswith('list index out of range; 3 sets in a row failed by errors like this')
    assert {path.name for path in tmp_path.iterdir()} == {'scene-0001'}


def test_existing_output_is_refused_before_anything_is_loaded(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(['replay', str(bag), '--out', str(bag)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'exists already, not overwriting' in line
