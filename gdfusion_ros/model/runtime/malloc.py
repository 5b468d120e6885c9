"""How the process keeps its memory. Imports nothing that starts threads, for which it is set."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Options of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Let glibc keep freed volumes instead of returning them to the system.

    A frame allocates and frees volumes of 80 MB. Returned and mapped again they cost more time in page faults than the
    arithmetic on them. For the entry points of processes that run a network on a CPU, before the imports of numpy and
    torch: a thread that exists keeps its own arena, whose memory goes back when it is free, and a network in another
    thread than the first may get that arena. Without glibc it does nothing.
    """
    if platform.libc_ver()[0] != 'glibc':
        return
    libc = ctypes.CDLL(None)
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
        libc.mallopt(option, value)
