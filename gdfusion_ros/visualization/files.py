"""Pictures as files, by the ending of the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from gdfusion_ros.errors import GdfusionError


def _png(image: Image.Image, path: Path) -> None:
    image.save(path, 'PNG')


WRITERS: dict[str, Callable[[Image.Image, Path], None]] = {'.png': _png}
"""Ending of the file's name -> function that writes the picture."""


def check(path: Path) -> None:
    """Make sure, before the work, that a picture can be written to ``path``.

    Raises:
        GdfusionError: an unknown ending, or a file of that name.
    """
    if path.suffix.lower() not in WRITERS:
        raise GdfusionError(f"{path}: unknown picture format '{path.suffix}'; known are {', '.join(WRITERS)}")
    if path.exists() or path.is_symlink():
        raise GdfusionError(f'{path} exists already, not overwriting; remove it or choose another name')


def save(image: Image.Image, path: Path) -> None:
    """Write ``image`` beside ``path`` and rename it when it is whole; folders are made.

    Raises:
        GdfusionError: see ``check``, or the file cannot be written.
    """
    check(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(image, path)
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror or error}') from error


def _write(image: Image.Image, path: Path) -> None:
    draft = path.with_name(f'.{path.name}.part')
    try:
        WRITERS[path.suffix.lower()](image, draft)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
