"""How the Triton kernels are made and called, and what they share.

Only ``cuda.py`` of an operation may import this: Triton is not everywhere. What decides an index or a test for zero is
rounded operation by operation, as in the reference: no kernel may fuse a product and a sum, and ``divided`` is a true
division.

Where TRITON_INTERPRET=1 is set before the import, Triton's interpreter runs the kernels, on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar, cast

import torch
import triton
import triton.language as tl
from torch import Tensor

F = TypeVar('F', bound=Callable[..., Any])


def kernel(function: F) -> F:
    """A kernel, or a part of one.

    It is compiled once for each set of its constants: not again where a size that changes from frame to frame happens
    to be one, or a multiple of 16, which would hold up a frame in the middle of a drive.
    """
    sizes = [name for name, parameter in signature(function).parameters.items() if parameter.annotation == 'int']
    return cast(F, triton.jit(function, do_not_specialize=sizes))


def launch(function: Callable[..., None], count: int, block: int, *arguments: Any, **constants: Any) -> None:
    """Have ``function`` work on ``count`` things, ``block`` of them a program, on the device of its first argument.

    It gets ``arguments``, ``count`` and, by name, ``block`` and the constants.
    """
    with torch.cuda.device_of(arguments[0]):
        cast(Any, function)[(triton.cdiv(count, block),)](
            *arguments, count, block=block, enable_fp_fusion=False, **constants
        )


def padded(count: int) -> int:
    """The next power of two: blocks have no other sizes."""
    return cast(int, triton.next_power_of_2(count))


def channels_last(features: Tensor) -> Tensor:
    """(N, C, h, w) -> contiguous (N, h, w, C)."""
    return features.permute(0, 2, 3, 1).contiguous()


def try_out(device: torch.device) -> None:
    """Run a kernel that does next to nothing.

    Raises:
        OSError, RuntimeError, CalledProcessError: Triton misses something, a C compiler, say.
    """
    launch(_clear, 1, 1, torch.empty(1, device=device))


@kernel
def _clear(values: tl.tensor, count: int, block: tl.constexpr) -> None:
    place = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(values + place, tl.zeros((block,), tl.float32), place < count)


@kernel
def divided(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """A true division: by itself, Triton's is off by a bit or two."""
    return tl.math.div_rn(a, b)


@kernel
def row(matrix: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> tl.tensor:
    """A row of a matrix times (x, y, z), summed from the left; ``matrix`` points to the row."""
    return (tl.load(matrix) * x + tl.load(matrix + 1) * y) + tl.load(matrix + 2) * z


@kernel
def moved(transform: tl.tensor, axis: tl.constexpr, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> tl.tensor:
    """One coordinate of where the (4, 4) ``transform`` takes voxels (x, y, z)."""
    along = row(transform + 4 * axis, x.to(tl.float32), y.to(tl.float32), z.to(tl.float32))
    return along + tl.load(transform + 4 * axis + 3)
