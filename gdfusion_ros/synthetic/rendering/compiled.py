"""How the loops of this package are compiled.

Operations keep their order (no fastmath), so that the same world gives the same bytes in every process. Nothing is
allocated in compiled code: arrays come from outside, and references to them are not counted (``_nrt``), since counting
took twenty times as long as the arithmetic.

Whether kept code still fits numba tells from the kernel's own file alone: after a change in a part that stands in
another file, or of a class of arguments, remove ``__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar('F', bound=Callable[..., Any])


def kernel(function: F) -> F:
    """A loop that Python calls; kept on disk. It releases the interpreter."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model='numpy', _nrt=False)(function))


def inlined(function: F) -> F:
    """A part of kernels."""
    return cast(F, numba.njit(nogil=True, error_model='numpy', forceinline=True, _nrt=False)(function))
