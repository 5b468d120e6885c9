"""How the process keeps its memory. Imports nothing that starts threads, for which it is set."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
"""Options of glibc's mallopt(3)."""

LARGE = 2**18
"""Bytes from which on a block may be a mapping of its own."""

HUGE_PAGES = Path('/sys/kernel/mm/transparent_hugepage/enabled')


def map_large_blocks() -> None:
    """Let glibc map large blocks one by one, and torch ask for huge pages.

    Until a network's first frames are through (``keep_freed_memory``). In these, libraries make the small objects that
    they keep for all later frames. Among volumes, each would lie where a volume was, and no other would fit there any
    more: twice as much memory as is needed. Without volumes about they lie close together.

    For the entry points of processes that run a network on a CPU, before the imports of numpy and torch: torch looks
    once, and a thread that exists keeps its own arena. Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is None:
        return
    for option, value in ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
        libc.mallopt(option, value)
    if has_huge_pages():
        os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')


def keep_freed_memory() -> None:
    """Let glibc keep freed memory from now on instead of returning it to the system.

    A frame allocates and frees many times what it needs at once. Returned and mapped again in pages of 4 kB, volumes
    cost more time in page faults than the arithmetic on them; in huge pages, their zeroing is a seventh of a frame.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_MAX, 0)


def has_huge_pages() -> bool:
    """Whether the system gives huge pages to those who ask for them."""
    try:
        return '[never]' not in HUGE_PAGES.read_text()
    except OSError:
        return False


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == 'glibc' else None
