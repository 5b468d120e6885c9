from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.visualization import files

IMAGE = Image.new('RGB', (4, 3), (1, 2, 3))


def test_picture_is_written_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'picture.png'
    files.save(IMAGE, path)
    assert Image.open(path).getpixel((0, 0)) == (1, 2, 3)
    assert list(path.parent.iterdir()) == [path]


def test_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / 'picture.png'
    path.write_text('mine')
    with pytest.raises(GdfusionError, match='exists already'):
        files.save(IMAGE, path)
    assert path.read_text() == 'mine'


def test_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match=r"unknown picture format '\.gif'; known are \.png"):
        files.save(IMAGE, tmp_path / 'picture.gif')


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_image: Image.Image, path: Path) -> None:
        path.write_text('half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setitem(files.WRITERS, '.png', break_down)
    with pytest.raises(GdfusionError, match='No space left on device'):
        files.save(IMAGE, tmp_path / 'picture.png')
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(GdfusionError, match='cannot be written'):
        files.save(IMAGE, tmp_path / 'file' / 'picture.png')
