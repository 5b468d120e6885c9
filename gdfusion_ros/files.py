"""Files that appear under their name only when they are whole, and never in the place of others."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gdfusion_ros.errors import GdfusionError

_SHOWN = 100  # characters of a file's name in that of the folder of its draft; the system allows 255 in all
_BLOCK = 1 << 20


def refuse_existing(path: Path) -> None:
    """Raise GdfusionError where ``path`` exists, as nothing is ever overwritten, or nothing can be written there.

    Else it would be said when the work is done. Linux takes any bytes as a name; the metadata of a bag, safetensors and
    torch do not.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise GdfusionError(f'{path} cannot be written: the name is not UTF-8; choose another name') from error
    try:
        exists = path.exists() or path.is_symlink()
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror}; choose another name') from error
    if exists:
        raise GdfusionError(f'{path} exists already, not overwriting; remove it or choose another name')
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise GdfusionError(f'{path} cannot be written: {above} is no folder; choose another name')
    if not os.access(above, os.W_OK):
        raise GdfusionError(f'{path} cannot be written: {above} is read-only; choose another name')


@contextmanager
def written_whole(path: Path, *, new: bool = False) -> Iterator[Path]:
    """A name near ``path`` to write the file to: renamed at the end of the block, removed if the block is left early.

    It lies in a new folder that nobody else may enter: no link can be waiting there under the name of the draft. Of
    several processes that write the same file the last one is whole, or with ``new`` the first one.

    Raises:
        GdfusionError: the file cannot be written, or is to be ``new`` and was written by somebody else meanwhile.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(path) as workplace:
            yield workplace / path.name
            if new:
                refuse_existing(path)
            (workplace / path.name).replace(path)
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror or error}') from error


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
        with _workplace(path) as workplace:
            draft = workplace / path.name
            yield draft
            refuse_existing(path)
            draft.rename(path)
    except OSError as error:
        raise GdfusionError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        if not path.exists():
            _remove_empty(made)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A new folder (0700) beside ``path``, removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=f'.{path.name[:_SHOWN]}.', dir=path.parent) as folder:
        yield Path(folder)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    hashed = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def private_folder(path: Path) -> bool:
    """Make the folder ``path`` (0700) where it is not there; whether it is this user's and nobody else may write to it.

    For places that others can foresee, as in the temporary directory: what is found there is trusted only if this is.
    """
    with suppress(OSError):
        path.mkdir(mode=0o700)
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, as far as nothing is in them."""
    for folder in folders:
        if not folder.exists() or any(folder.iterdir()):
            return
        folder.rmdir()
