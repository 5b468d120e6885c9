"""gdfusion synthesize on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdfusion_ros.cli import main

pytestmark = pytest.mark.slow

TINY = ('--scenes', '1', '--frames', '1', '--resolution', '176x64', '--weather', 'overcast', '--jobs', '1')


def test_makes_checks_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['synthesize', str(tmp_path / 'made'), *TINY, '--seed', '3', '--check']) == 0
    output = capsys.readouterr().out
    assert '1 scene of 1 key frame, seed 3' in output
    assert 'driveable_surface' in output
    assert output.rstrip().endswith('passed')
    next((tmp_path / 'made').glob('samples/CAM_BACK/*.jpg')).write_bytes(
        next((tmp_path / 'made').glob('samples/CAM_FRONT/*.jpg')).read_bytes()
    )
    assert main(['synthesize', str(tmp_path / 'made'), '--check', '--jobs', '1']) == 1
    output = capsys.readouterr().out
    assert '1 images are not the ones that the seed gives: samples/CAM_BACK/' in output
    assert output.rstrip().endswith('FAILED')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--scenes', '1', '--resolution', '704'), 'expected WIDTHxHEIGHT'),
        (('--scenes', '1', '--weather', 'sunny'), 'no weather sunny; there are noon'),
        (('--scenes', '1', '--jobs', '0'), '--jobs 0'),
        ((), '--scenes: how many'),
        (('--check',), 'recipe.json cannot be read'),
    ],
)
def test_faults_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(['synthesize', str(tmp_path / 'made'), *arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('gdfusion synthesize: ')
    assert message in error
    assert list(tmp_path.iterdir()) == []
