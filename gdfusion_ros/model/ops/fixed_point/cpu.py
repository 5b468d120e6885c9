"""Features to codes and back in one compiled pass each."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdfusion_ros.model.ops.compiled import ONE, Float, Floats, channels_last, inlined, kernel, share_threads
from gdfusion_ros.model.ops.compiled import ZERO as NOTHING
from gdfusion_ros.model.ops.fixed_point.reference import ZERO

_ZERO = Float(ZERO)
Codes = NDArray[np.int16]


def encode(features: Tensor, per_step: Tensor) -> Tensor:
    """See ``reference.encode``; channels_last memory."""
    share_threads()
    rows = channels_last(features)
    codes = np.empty(rows.shape, np.int16)
    _encode(_cells(rows), per_step.flatten(1).numpy(), _cells(codes))
    return torch.from_numpy(codes).permute(0, 3, 1, 2)


def decode(codes: Tensor, step: Tensor) -> Tensor:
    """See ``reference.decode``; channels_last memory."""
    share_threads()
    rows = codes.permute(0, 2, 3, 1).contiguous().numpy()
    features = np.empty(rows.shape, Float)
    _decode(_cells(rows), step.flatten(1).numpy(), _cells(features))
    return torch.from_numpy(features).permute(0, 3, 1, 2)


def _cells(rows: NDArray[Any]) -> NDArray[Any]:
    """(N, h, w, C) -> (N h w, C), the same memory."""
    return rows.reshape(-1, rows.shape[-1])


@kernel
def _encode(features: Floats, per_step: Floats, codes: Codes) -> None:
    for cell in numba.prange(len(features)):
        _encode_cell(features[cell], per_step[cell * len(per_step) // len(features)], codes[cell])


@inlined
def _encode_cell(feature: Floats, per_step: Floats, codes: Codes) -> None:
    """A loop of its own, which the compiler turns into one over vectors."""
    for c in range(len(feature)):
        least = ONE if feature[c] > NOTHING else NOTHING
        codes[c] = np.int16(max(np.rint(feature[c] * per_step[c]), least) + _ZERO)


@kernel
def _decode(codes: Codes, step: Floats, features: Floats) -> None:
    for cell in numba.prange(len(codes)):
        _decode_cell(codes[cell], step[cell * len(step) // len(codes)], features[cell])


@inlined
def _decode_cell(codes: Codes, step: Floats, feature: Floats) -> None:
    for c in range(len(codes)):
        feature[c] = (Float(codes[c]) - _ZERO) * step[c]
