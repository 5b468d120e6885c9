"""Folders on disks and in object stores, by fsspec: what is read from there lies on this machine's disk meanwhile.

A text with ``://`` is a URL (file://, s3://, gs://, …) and is copied; any other is a path that every machine sees.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fsspec

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import folder_written_whole, written_whole

RECORD = 'record.json'
"""What is known of a result; where it is, the result is whole."""


def is_url(text: str) -> bool:
    """Whether ``text`` is a URL, not a path."""
    return '://' in text


@contextmanager
def reaching(place: str) -> Iterator[None]:
    """Whatever a store raises, as one clear line."""
    try:
        yield
    except GdfusionError:
        raise
    except ImportError as error:
        raise GdfusionError(f'{place} cannot be reached: {error}') from error
    except Exception as error:  # each store has errors of its own
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise GdfusionError(f'{place} cannot be reached: {reason}') from error


def file_system(place: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it.

    Raises:
        GdfusionError: the protocol is unknown, or its library is missing.
    """
    with reaching(place):
        files, path = fsspec.core.url_to_fs(place)
    return files, str(path)


@contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """A file or folder as a path: itself, or a copy of what a URL names under the same name, removed at the end.

    Raises:
        GdfusionError: it cannot be copied.
    """
    if not is_url(place):
        yield Path(place)
        return
    files, path = file_system(place)
    with tempfile.TemporaryDirectory(prefix='gdfusion-') as folder:
        copy = Path(folder) / PurePosixPath(path).name
        with reaching(place):
            files.get(path, str(copy), recursive=True)
        yield copy


class Output(Protocol):
    """The folder that all results of a fleet go to."""

    def read(self, name: str) -> bytes | None:
        """The file of that name below the folder; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all; another of that name is replaced."""
        ...

    def result(self, name: str) -> Any:
        """A context with a new folder to fill (with RECORD, too), which becomes the result ``name`` at its end.

        An earlier result of that name is removed first.
        """
        ...

    def occupied(self) -> bool:
        """Whether anything is at the folder's place."""
        ...

    def clean(self) -> None:
        """Remove what writers that were killed have left. No writer may be at work."""
        ...

    def claimed(self) -> Any:
        """A context in which this process alone gives out work for the folder, where that can be seen to."""
        ...


class LocalOutput:
    """A folder that every machine sees."""

    def __init__(self, folder: Path) -> None:
        """It is made when the first file is written."""
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """See Output."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise GdfusionError(f'{self._folder / name} cannot be read: {error.strerror}') from error

    def write(self, name: str, content: bytes) -> None:
        """See Output."""
        with written_whole(self._folder / name) as draft:
            draft.write_bytes(content)

    @contextmanager
    def result(self, name: str) -> Iterator[Path]:
        """See Output."""
        if (self._folder / name / RECORD).is_file():
            shutil.rmtree(self._folder / name)
        with folder_written_whole(self._folder / name) as draft:
            draft.mkdir()
            yield draft

    def occupied(self) -> bool:
        """See Output. A folder that is empty is nothing yet."""
        return self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir()))

    def clean(self) -> None:
        """See Output: ``files`` writes drafts to hidden folders beside what they become."""
        for draft in self._folder.glob('.*.*'):
            shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """See Output: by a lock of the system, which ends with the process, however that ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise GdfusionError(f'{self._folder} cannot be written: {error.strerror}') from error
        try:
            with suppress(OSError):  # not every file system of a network has locks
                _lock(lock, self._folder)
            yield
        finally:
            os.close(lock)
            with suppress(OSError):
                self._folder.rmdir()  # where nothing was begun


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise GdfusionError(f"another 'gdfusion fleet' is at work on {folder}; wait for its end") from error


class StoredOutput:
    """A folder of an object store. Of a result the record is written last: without it, nothing counts."""

    def __init__(self, url: str) -> None:
        """Reach the store.

        Raises:
            GdfusionError: it cannot be reached.
        """
        self._url = url
        self._files, self._path = file_system(url)

    def read(self, name: str) -> bytes | None:
        """See Output."""
        with reaching(f'{self._url}/{name}'):
            try:
                return bytes(self._files.cat_file(f'{self._path}/{name}'))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """See Output."""
        with reaching(f'{self._url}/{name}'):
            self._files.makedirs(self._path, exist_ok=True)
            self._files.pipe_file(f'{self._path}/{name}', content)

    @contextmanager
    def result(self, name: str) -> Iterator[Path]:
        """See Output."""
        place = f'{self._path}/{name}'
        with tempfile.TemporaryDirectory(prefix='gdfusion-') as folder:
            yield (draft := Path(folder))
            with reaching(f'{self._url}/{name}'):
                if self._files.exists(place):
                    self._files.rm(place, recursive=True)
                written = sorted(
                    (path for path in draft.rglob('*') if path.is_file()), key=lambda path: path == draft / RECORD
                )
                for path in written:
                    target = f'{place}/{path.relative_to(draft).as_posix()}'
                    self._files.makedirs(target.rpartition('/')[0], exist_ok=True)
                    self._files.put_file(str(path), target)

    def occupied(self) -> bool:
        """See Output."""
        with reaching(self._url):
            return bool(self._files.exists(self._path) and self._files.ls(self._path))

    def clean(self) -> None:
        """See Output: what a killed writer has left has no record, and whoever makes the result anew removes it."""

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """See Output: a store has no locks."""
        yield


def output(place: str) -> Output:
    """The folder at a path or URL."""
    return StoredOutput(place.rstrip('/')) if is_url(place) else LocalOutput(Path(place))
