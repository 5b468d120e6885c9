"""What the command line makes of errors that no verb has a line for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gdfusion_ros.cli import main

LONG = 'x\x1b[2J' + 300 * 'x'


@pytest.mark.parametrize(
    'arguments',
    [
        ['info', LONG],
        ['replay', LONG, '--out', 'out'],
        ['replay', 'bag', '--out', LONG],
        ['render', 'bag', '--out', LONG],
        ['render', f'{LONG}.npz', '--out', 'a.png'],
        ['convert', LONG, '--out', 'out'],
        ['weights', 'check', LONG],
        ['evaluate', LONG],
        ['evaluate', '--npz', LONG, '--truth', LONG],
        ['synthesize', LONG, '--scenes', '1'],
        ['train', '--out', LONG],
    ],
)
def test_names_that_no_file_can_have_are_one_line(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    error = capsys.readouterr().err
    assert code in (1, 2)
    line = error.splitlines()[-1]
    assert line.startswith(f'gdfusion {arguments[0]}: ')
    assert 'Traceback' not in error


def test_the_traceback_is_there_for_whoever_wants_it() -> None:
    with pytest.raises(OSError, match='File name too long'):
        main(['info', LONG, '--verbose'])


def test_a_folder_that_is_gone_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / 'gone').mkdir()
    monkeypatch.chdir(tmp_path / 'gone')
    (tmp_path / 'gone').rmdir()
    assert main(['info', 'bag']) == 1
    assert capsys.readouterr().err == ('gdfusion info: the current folder was removed; change into one that is there\n')
