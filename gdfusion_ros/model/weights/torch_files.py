"""What must be true of a file of ``torch.save`` before torch loads it, told without loading it.

torch unpacks an archive whatever becomes of it, compares no checksum, and hashes every key.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from gdfusion_ros.errors import GdfusionError

_MOST_UNPACKED = 4
"""How many times the size of a zip archive its content may be; torch.save packs nothing, and weights hardly shrink."""
_NO_BOMB = 1 << 26  # bytes that may always be unpacked

_DEEPEST = 16
"""Tuples inside each other, which torch.save writes three of. A key of n tuples that each hold the one before twice
takes 2^n steps to hash."""

_DAMAGED = (OSError, EOFError, ValueError, OverflowError, MemoryError, RuntimeError, zipfile.BadZipFile)
"""What is raised of bytes that are no archive, no pickle, or cut off; whoever loads them names that."""

_PROTOCOL = b'\x80'
_PICKLES = 5  # that an old file of torch has one after the other, before the numbers
_BLOCK = 1 << 20


def require_loadable(path: Path) -> None:
    """Make sure that to load the file ends, in memory that there is, with the numbers that were saved.

    Raises:
        GdfusionError: an archive that is damaged or would fill the memory, or keys that take for ever.
    """
    with suppress(*_DAMAGED), zipfile.ZipFile(path) as archive:
        _require_size(path, archive)
        _require_sums(path, archive)
    if _has_endless_keys(path):
        raise GdfusionError(
            f'checkpoint {path} has tuples inside tuples, so many that to load it could take for ever, and weights '
            "have none; where it was trained, save them alone: torch.save({'state_dict': model.state_dict()}, file)"
        )


def _require_size(path: Path, archive: zipfile.ZipFile) -> None:
    size, unpacked = path.stat().st_size, sum(info.file_size for info in archive.infolist())
    if unpacked > max(_MOST_UNPACKED * size, _NO_BOMB):
        raise GdfusionError(
            f'checkpoint {path} is a zip archive of {size >> 20} MB that would be {unpacked >> 20} MB when unpacked, '
            'which weights are not; fetch it again from where it comes'
        )


def _require_sums(path: Path, archive: zipfile.ZipFile) -> None:
    """Compare every checksum; none is right where torch was told to write none."""
    members = archive.infolist()
    wrong = [member.filename for member in members if not _sum_is_right(archive, member)]
    if wrong and len(wrong) < len(members):
        raise GdfusionError(
            f'checkpoint {path} is damaged: {len(wrong)} of its {len(members)} parts have another checksum than when '
            f'they were written, {wrong[0]} for one; fetch it again'
        )


def _sum_is_right(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as file:
            while file.read(_BLOCK):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False
    return True


def _has_endless_keys(path: Path) -> bool:
    """Whether there are tuples nested so deeply that a key of them may take for ever to hash."""
    with suppress(*_DAMAGED), path.open('rb') as file:
        return any(_depth(pickle) > _DEEPEST for pickle in _pickles(path, file))
    return False


def _pickles(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Where the pickles of a file begin, each to be read to its end."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith('data.pkl'):
                    with archive.open(name) as member:
                        yield member
        return
    for _ in range(_PICKLES):
        if file.read(1) != _PROTOCOL:
            return
        file.seek(-1, 1)
        yield file


def _depth(pickle: IO[bytes]) -> int:
    """How many tuples are inside each other at most, as if every value that another is made of were in one."""
    stack: list[int | None] = []  # of a value, the depth; of a mark None
    memo: dict[object, int] = {}
    deepest = 0
    for opcode, argument, _ in pickletools.genops(pickle):
        name = opcode.name
        if name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            memo[len(memo) if argument is None else argument] = _taken(stack[-1:])
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(memo.get(argument, 0))
        elif name == 'DUP':
            stack.append(_taken(stack[-1:]))
        elif name == 'MARK':
            stack.append(None)
        else:
            depth = _taken(_popped(stack, opcode)) + (name.startswith('TUPLE') or name == 'REDUCE')
            deepest = max(deepest, depth)
            stack += [depth] * len(opcode.stack_after)
    return deepest


def _popped(stack: list[int | None], opcode: pickletools.OpcodeInfo) -> list[int | None]:
    """What an operation takes from the stack: so many values, or all down to the last mark and those below it."""
    before = opcode.stack_before
    count = len(before)
    if pickletools.markobject in before:
        mark = max((place for place, depth in enumerate(stack) if depth is None), default=0)
        count = len(stack) - mark + before.index(pickletools.markobject)
    taken = stack[len(stack) - count :] if count else []
    del stack[len(stack) - count :]
    return taken


def _taken(depths: list[int | None]) -> int:
    return max((depth for depth in depths if depth is not None), default=0)
