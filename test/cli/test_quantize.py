"""gdfusion quantize on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdfusion_ros.cli import main
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import Content, plan
from gdfusion_ros.model.quantization import calibration


@pytest.mark.slow
def test_the_default_model_in_8_bits(
    scene_bag: Path,
    nuscenes_complete: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibration, 'LEAST_WORK', 400_000_000)  # the largest layers alone, to save time
    [_, labelled] = plan(nuscenes.load(nuscenes_complete), tmp_path / 'labelled', content=Content(labels=True))
    convert(labelled)
    out = tmp_path / 'eight.safetensors'
    frames = ['--bags', str(scene_bag), '--frames', '1', '--score', str(labelled.path)]
    assert main(['quantize', *frames, '--out', str(out)]) == 0
    output = capsys.readouterr().out
    assert 'decoder.head.classifier.2' in output
    assert 'mIoU' in output
    assert f'{out}: ' in output.splitlines()[-1]
    grids = tmp_path / 'grids'
    assert main(['replay', str(scene_bag), '--out', str(grids), '--weights', str(out), '--precision', 'int8']) == 0
    assert (
        f'gdfusion_nano (trained on the synthetic world, 8 bits), live protocol: 3 grids in {grids}'
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--frames', '0'), '--frames 0'),
        (('--agreement', '99'), '--agreement 99.0'),
        (('--untrained',), 'trained weights'),
        (('--score', 'bag'), 'bag is in --bags and in --score'),
    ],
)
def test_faults_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(['quantize', '--bags', 'bag', '--out', str(tmp_path / 'out'), *arguments]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('gdfusion quantize: ')
    assert message in line
    assert not list(tmp_path.iterdir())
