"""How the compiled CPU forms are made and called. Compiled on first use and kept on disk by numba.

No operation may be reordered or fused (numba's fastmath): the compiler would choose differently from one process to the
next, and grids would not repeat bit for bit. See geometry/camera.py, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.graph_form import in_graph_form

if TYPE_CHECKING:
    from torch import Tensor

F = TypeVar('F', bound=Callable[..., Any])
Float = np.float32
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Triple = tuple[Float, Float, Float]
Size = tuple[int, int, int]

ZERO, ONE, TWO = Float(0), Float(1), Float(2)


def kernel(function: F) -> F:
    """A kernel whose outermost loop runs on all of torch's threads."""
    return cast(F, numba.njit(cache=True, nogil=True, parallel=True, error_model='numpy')(function))


def serial(function: F) -> F:
    """A kernel that one thread runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model='numpy')(function))


def inlined(function: F) -> F:
    """A part of a kernel. Only whole kernels are kept on disk: parts from there could not be inlined into a new one."""
    return cast(F, numba.njit(nogil=True, error_model='numpy', forceinline=True)(function))


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled forms can take these tensors: float32 on the CPU, no gradient asked for, and no graph."""
    import torch

    return (
        not torch.is_grad_enabled()
        and not in_graph_form()
        and all(t.device.type == 'cpu' and t.dtype == torch.float32 for t in tensors)
    )


def share_threads() -> None:
    """Compiled loops take as many threads as torch does, where it is there, and leave torch as many as it had.

    Numba's first call takes OpenMP's setting, which is torch's too, for itself: a process that was told to take one
    thread would go on with all of them, and round otherwise than before.
    """
    torch = sys.modules.get('torch')
    if torch is None:
        return
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def channels_last(features: Tensor) -> Floats:
    """(N, C, h, w) -> contiguous (N, h, w, C)."""
    return cast(Floats, features.permute(0, 2, 3, 1).contiguous().numpy())


@inlined
def row(matrix: Floats, index: int, x: Float, y: Float, z: Float) -> Float:
    """One row of a matrix times (x, y, z), summed from the left."""
    product: Float = (matrix[index, 0] * x + matrix[index, 1] * y) + matrix[index, 2] * z
    return product


@inlined
def moved(transform: Floats, x: int, y: int, z: int) -> Triple:
    """R p of voxel (x, y, z)."""
    fx, fy, fz = Float(x), Float(y), Float(z)
    return (
        row(transform, 0, fx, fy, fz) + transform[0, 3],
        row(transform, 1, fx, fy, fz) + transform[1, 3],
        row(transform, 2, fx, fy, fz) + transform[2, 3],
    )
