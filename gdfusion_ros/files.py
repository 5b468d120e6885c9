"""Files that appear under their name only when they are whole, and never in the place of others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gdfusion_ros.errors import GdfusionError


def refuse_existing(path: Path) -> None:
    """Raise GdfusionError where ``path`` exists: nothing is ever overwritten."""
    if path.exists() or path.is_symlink():
        raise GdfusionError(f'{path} exists already, not overwriting; remove it or choose another name')


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write the file to: renamed at the end of the block, removed if the block is left early.

    Each process has a name of its own, so that of several that write the same file the last one is whole.

    Raises:
        GdfusionError: the file cannot be written.
    """
    draft = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A folder to make and fill, which becomes ``path`` at the end of the block.

    If the block is left early it is removed, with the folders above it that were made for it and hold nothing else.

    Raises:
        GdfusionError: ``path`` exists, or cannot be written.
    """
    refuse_existing(path)
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as workplace:
            draft = Path(workplace) / path.name
            yield draft
            refuse_existing(path)
            draft.rename(path)
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        if not path.exists():
            _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, as far as nothing is in them."""
    for folder in folders:
        if not folder.exists() or any(folder.iterdir()):
            return
        folder.rmdir()
