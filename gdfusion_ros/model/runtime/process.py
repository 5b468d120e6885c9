"""What a process that runs a network sets before it does anything else."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gdfusion_ros.model.runtime.malloc import map_large_blocks

SPINS = '1000'
"""How often a thread of torch's OpenMP library looks for its next work before it sleeps.

By itself it looks for milliseconds, over a thousand times a frame, on a core that others may need: beside other
programs a frame took several times as long. Without any look, waking up would cost a quarter of a quiet frame.
"""


def prepare_process() -> None:
    """Lay out memory, wait briefly, and take subnormal numbers (below 1e-38) for zero in all threads.

    Tails of softmax times features are full of them, and processors take many times as long for each. A thread
    inherits the setting from the one that starts it, and torch and numba start theirs at the first parallel operation:
    so this is for the first thread, before any, and for each process that is spawned; one that is forked has it.
    """
    map_large_blocks()
    wait_briefly()
    import numpy as np

    for kind in (np.float32, np.float64):
        str(np.finfo(kind))  # asked for the first time later on, numpy would wonder where they are
    try:
        import torch
    except ModuleNotFoundError:  # exported networks need none
        return
    torch.set_flush_denormal(True)


def wait_briefly() -> None:
    """Let threads look SPINS times for work, unless the user said otherwise; torch's library asks as it is loaded."""
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', SPINS)


def thread_count() -> int:
    """How many threads would compute a network."""
    try:
        import torch
    except ModuleNotFoundError:  # exported networks need none
        return int(os.environ.get('OMP_NUM_THREADS', '0')) or len(os.sched_getaffinity(0))
    return torch.get_num_threads()


def compute_with(count: int) -> None:
    """Let the calling thread compute with ``count`` of them, where torch does; runtimes keep threads of their own."""
    if 'torch' in sys.modules:
        import torch

        torch.set_num_threads(count)


def give_back_device_memory() -> None:
    """Give back what torch, where it is loaded, keeps of a GPU's memory for later."""
    if 'torch' in sys.modules:
        import torch

        torch.cuda.empty_cache()


def set_threads(count: int) -> None:
    """How many threads compute a network, in torch and in the runtimes that are started from now on."""
    os.environ['OMP_NUM_THREADS'] = str(count)
    try:
        import torch
    except ModuleNotFoundError:  # exported networks need none
        return
    torch.set_num_threads(count)


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage while modules and networks are loaded, nor ever again among what is there at the end.

    Python would walk through all of it several times meanwhile, a tenth of the time, and in the midst of a frame later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
