"""What a process that runs a network sets before it does anything else."""

from __future__ import annotations

from gdfusion_ros.model.runtime.malloc import keep_freed_memory


def prepare_process() -> None:
    """Keep freed memory, and take subnormal numbers (below 1e-38) for zero in all threads.

    Tails of softmax times features are full of them, and processors take many times as long for each. A thread
    inherits the setting from the one that starts it, and torch and numba start theirs at the first parallel operation:
    so this is for the first thread, before any, and for each process that is spawned; one that is forked has it.
    """
    keep_freed_memory()
    import numpy as np
    import torch  # looks at what is set above

    for kind in (np.float32, np.float64):
        str(np.finfo(kind))  # asked for the first time later on, numpy would wonder where they are
    torch.set_flush_denormal(True)
