"""Bytes of features in one compiled pass, in the order of memory."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.ops.codes.reference import HIGHEST
from gdfusion_ros.model.ops.compiled import ZERO, Float, Floats, inlined, kernel, share_threads

_HIGHEST = Float(HIGHEST)
_BLOCK = 16384
"""Features that a thread takes at once; of a few, one thread is done before the other is awake."""


def codes(features: Tensor, step: float, zero: int) -> Tensor:
    """See ``gdfusion_ros.model.ops.codes.codes``."""
    share_threads()
    given = torch.empty_like(features, dtype=torch.uint8)
    if given.stride() != features.stride():  # not dense in memory
        features = features.contiguous()
        given = torch.empty_like(features, dtype=torch.uint8)
    size = (features.numel(),)
    _codes(features.as_strided(size, (1,)).numpy(), Float(1 / step), Float(zero), given.as_strided(size, (1,)).numpy())
    return given


@kernel
def _codes(features: Floats, per_step: Float, zero: Float, given: NDArray[np.uint8]) -> None:
    for block in numba.prange((len(features) + _BLOCK - 1) // _BLOCK):
        here = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _block(features[here], per_step, zero, given[here])


@inlined
def _block(features: Floats, per_step: Float, zero: Float, given: NDArray[np.uint8]) -> None:
    """A loop of its own, which the compiler turns into one over vectors."""
    for index in range(len(features)):
        code = np.rint(features[index] * per_step) + zero
        given[index] = np.uint8(min(max(code, ZERO), _HIGHEST))
