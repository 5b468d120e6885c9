"""The class in plain torch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor


def argmax(scores: Tensor, first: int = 1) -> Tensor:
    """See ``gdfusion_ros.model.ops.argmax.argmax``."""
    return scores[..., first:].argmax(-1).to(torch.uint8)
