"""Features to codes and back in plain torch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

ZERO = -32768
"""The code of 0."""


def encode(features: Tensor, per_step: Tensor) -> Tensor:
    """int16 codes of (N, C, h, w) features; ``per_step`` (N, C, 1, 1) is how many steps 1 has."""
    return (features * per_step).round().maximum(features.sign()).add(ZERO).to(torch.int16)


def decode(codes: Tensor, step: Tensor) -> Tensor:
    """(N, C, h, w) float32 features."""
    return (codes.float() - ZERO) * step
