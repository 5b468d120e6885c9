"""Pictures as files, by the ending of the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing, written_whole


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
    refuse_existing(path)


def save(image: Image.Image, path: Path) -> None:
    """Write ``image`` beside ``path`` and rename it when it is whole; folders are made.

    Raises:
        GdfusionError: see ``check``, or the file cannot be written.
    """
    check(path)
    with written_whole(path) as draft:
        WRITERS[path.suffix.lower()](image, draft)
