"""How the process keeps its memory. Imports nothing that starts threads, for which it is set."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
"""Options of glibc's mallopt(3)."""

VOLUME = 2**25
"""Bytes from which on a block may be a mapping of its own; glibc allows no more."""

MAPPINGS = 65536
"""How many there may be: glibc's own default."""

HUGE_PAGES = Path('/sys/kernel/mm/transparent_hugepage/enabled')


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the system, and torch ask for huge pages.

    A frame allocates and frees many times what it needs at once. Returned and mapped again in pages of 4 kB, volumes
    cost more time in page faults than the arithmetic on them.

    For the entry points of processes that run a network on a CPU, before the imports of numpy and torch: torch looks
    once, and a thread that exists keeps its own arena, whose memory goes back when it is free; a network in another
    thread than the first may get that arena. Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is None:
        return
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
        libc.mallopt(option, value)
    if has_huge_pages():
        os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')


def map_volumes() -> None:
    """Map blocks of at least VOLUME bytes one by one, and give them back, where the system has huge pages.

    Kept memory grows to twice of what is needed: a block that was freed is seldom found large enough for the next one
    of its size, for it is aligned, and small objects settle in the margins. In huge pages of 2 MB, mapping a volume
    costs its zeroing. That is for networks that put new volumes in the place of many in each frame; others pay with a
    seventh of their time. Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is not None and has_huge_pages():
        libc.mallopt(M_MMAP_THRESHOLD, VOLUME)
        libc.mallopt(M_MMAP_MAX, MAPPINGS)


def has_huge_pages() -> bool:
    """Whether the system gives huge pages to those who ask for them."""
    try:
        return '[never]' not in HUGE_PAGES.read_text()
    except OSError:
        return False


def return_freed_memory() -> None:
    """Give the system what is free now: for moments after which other sizes are wanted, as when weights are loaded.

    Else it would lie among the blocks of the frames, in pieces too small for a volume. Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == 'glibc' else None
