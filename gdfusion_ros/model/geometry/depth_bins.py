"""The depths at which a network looks along each ray."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DepthBins:
    """Evenly spaced depths: the first [m], the step [m], how many. Each value is the sample's depth itself."""

    first: float
    step: float
    count: int

    def values(self) -> Tensor:
        """(count,) float32 [m]."""
        return self.first + self.step * torch.arange(self.count, dtype=torch.float32)
