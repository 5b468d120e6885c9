"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import private_folder, refuse_existing, written_whole

OTHER = """
import sys
from pathlib import Path
from gdfusion_ros.files import written_whole

with written_whole(Path(sys.argv[1])) as draft:
    draft.write_text('theirs')
"""


def test_two_processes_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / 'table.md'
    with written_whole(path) as draft:
        draft.write_text('ours')
        subprocess.run([sys.executable, '-c', OTHER, str(path)], check=True)
        assert path.read_text() == 'theirs'
    assert path.read_text() == 'ours'
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(GdfusionError, match=r'weights\.onnx cannot be written: \S*file is no folder'):
        refuse_existing(tmp_path / 'file' / 'sub' / 'weights.onnx')


def test_a_disk_that_is_read_only_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'access', lambda *_: False)
    with pytest.raises(GdfusionError, match=r'weights\.onnx cannot be written: \S* is read-only'):
        refuse_existing(tmp_path / 'sub' / 'weights.onnx')


def test_a_new_file_does_not_replace_one_that_came_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / 'table.md'

    def write() -> None:
        with written_whole(path, new=True) as draft:
            draft.write_text('ours')
            path.write_text('theirs')

    with pytest.raises(GdfusionError, match='exists already, not overwriting'):
        write()
    assert [found.read_text() for found in tmp_path.iterdir()] == ['theirs']


def test_the_draft_lies_where_nobody_else_can_put_a_link(tmp_path: Path) -> None:
    other = tmp_path / 'other'
    other.write_text('theirs')
    (tmp_path / f'.table.md.{os.getpid()}.part').symlink_to(other)
    with written_whole(tmp_path / 'table.md') as draft:
        assert draft.parent.stat().st_mode & 0o777 == 0o700
        draft.write_text('ours')
    assert other.read_text() == 'theirs'
    assert not (tmp_path / 'table.md').is_symlink()


def test_a_private_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    assert private_folder(tmp_path / 'kernels')
    assert (tmp_path / 'kernels').stat().st_mode & 0o777 == 0o700
    assert private_folder(tmp_path / 'kernels')


def test_what_others_could_have_put_there_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'mine')
    (tmp_path / 'file').touch()
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    assert not any(private_folder(tmp_path / name) for name in ('link', 'file', 'open', 'none/below'))


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='cannot be written: File name too long; choose another name'):
        refuse_existing(tmp_path / ('x' * 300))
