"""What a file is by its own bytes, whatever its name or the metadata beside it say; what is no rosbag2 is refused."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import zstandard

from gdfusion_ros.bags.mcap_file import McapFile
from gdfusion_ros.bags.sqlite_file import SqliteFile
from gdfusion_ros.bags.storage import ZSTD_MAGIC, StorageFile
from gdfusion_ros.errors import GdfusionError

SUFFIXES = ('.mcap', '.db3', '.mcap.zstd', '.db3.zstd', '.mcap.zst', '.db3.zst')
"""Of the files that rosbag2 writes, packed by itself or by the command zstd or not."""

_MCAP, _SQLITE = b'\x89MCAP0\r\n', b'SQLite format 3\0'
_HEAD, _SQLITE_HEADER = 64, 100
_LOGS = {'-wal': 'PRAGMA wal_checkpoint(TRUNCATE)', '-journal': 'SELECT count(*) FROM messages'}
"""What sqlite3 leaves beside a database that was not closed, and what makes it finish its work."""

_FOREIGN = {
    b'#ROSBAG V': "a ROS 1 bag; 'rosbags-convert --src IN.bag --dst OUT' makes a ROS 2 bag of it",
    b'\x1f\x8b': "packed with gzip; unpack it ('gunzip')",
    b'\x04\x22\x4d\x18': "packed with lz4; unpack it ('unlz4')",
    b'\xfd7zXZ\0': "packed with xz; unpack it ('unxz')",
    b'BZh': "packed with bzip2; unpack it ('bunzip2')",
    b'PK\x03\x04': "a zip archive; unpack it ('unzip')",
    b'version https://git-lfs': "a pointer of Git LFS, not the file itself; 'git lfs pull' fetches it",
    b'ULog': 'a PX4 log (ULog), not a rosbag2 file; give an MCAP or sqlite3 bag',
    b'<': 'a page of text (HTML or XML), perhaps of a failed download; fetch the bag again',
}


def open_file(path: Path, temporary: Path) -> StorageFile:
    """Open the storage file at ``path``; one that is compressed as a whole is unpacked into ``temporary`` first.

    Raises:
        GdfusionError: it is none, or cut off; without the file's name, which the caller knows.
        Exception: the parsers', where the file is damaged.
    """
    with path.open('rb') as stream:
        head = stream.read(_HEAD)
    if head.startswith(ZSTD_MAGIC):
        return open_file(_unpacked(path, temporary), temporary)
    if head.startswith(_MCAP):
        _require_end(path)
        return McapFile(path)
    if head.startswith(_SQLITE):
        _require_pages(path)
        return SqliteFile(path)
    raise GdfusionError(_what_else(head))


def _what_else(head: bytes) -> str:
    if not head:
        return 'it is empty; copy it again from where it was recorded'
    for magic, sentence in _FOREIGN.items():
        if head.startswith(magic):
            return f'it is {sentence}'
    if _MCAP.startswith(head) or _SQLITE.startswith(head):
        return 'it was cut off in its first bytes; copy it again from where it was recorded'
    if not any(head):
        return 'it has only zero bytes, as after a loss of power; nothing of the recording is left in it'
    return 'it is neither MCAP nor sqlite3, which are what rosbag2 writes'


def _unpacked(path: Path, temporary: Path) -> Path:
    target = temporary / (path.stem if path.suffix == '.zstd' else path.name)
    with path.open('rb') as packed, target.open('xb') as out:
        shutil.copyfileobj(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True), out)
    return target


def _require_end(path: Path) -> None:
    """MCAP ends as it begins."""
    with path.open('rb') as stream:
        stream.seek(max(path.stat().st_size - len(_MCAP), 0))
        if stream.tell() < len(_MCAP) or stream.read() != _MCAP:
            raise GdfusionError(
                "its end is missing: the recording or a copy was cut off; 'ros2 bag reindex' or "
                "'mcap recover' may save what is there"
            )


def _require_pages(path: Path) -> None:
    """As many pages as the header says, and none in a log beside it, which rosbags would pass over without a word."""
    with path.open('rb') as stream:
        header = stream.read(_SQLITE_HEADER)
    if len(header) == _SQLITE_HEADER:
        (size,) = struct.unpack_from('>H', header, 16)
        (pages,) = struct.unpack_from('>I', header, 28)
    if len(header) < _SQLITE_HEADER or (65536 if size == 1 else size) * pages > path.stat().st_size:
        raise GdfusionError(
            "its end is missing: the recording or a copy was cut off; 'sqlite3 IN.db3 .recover | "
            "sqlite3 OUT.db3', then 'ros2 bag reindex' may save what is there"
        )
    real = path.resolve()  # sqlite3 keeps its logs beside the file itself, not beside a link to it
    for suffix, remedy in _LOGS.items():
        log = real.with_name(real.name + suffix)
        if log.is_file() and any(log.read_bytes()[:8]):
            raise GdfusionError(
                f"its last messages are still in {log.name}: the recording was cut off; 'sqlite3 "
                f'{real.name} "{remedy}"\' puts that right'
            )
