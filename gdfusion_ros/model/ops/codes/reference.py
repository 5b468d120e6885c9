"""Bytes of features in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

HIGHEST = 255


def codes(features: Tensor, step: float, zero: int) -> Tensor:
    """See ``gdfusion_ros.model.ops.codes.codes``."""
    return (features * (1 / step)).round_().add_(zero).clamp_(0, HIGHEST).to(torch.uint8)
