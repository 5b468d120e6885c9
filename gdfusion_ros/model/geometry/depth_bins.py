"""The depths at which a network looks along each ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DepthBins:
    """Evenly spaced depths: the first [m], the step [m], how many. Each value is the sample's depth itself."""

    first: float
    step: float
    count: int

    def values(self) -> Tensor:
        """(count,) float32 [m]."""
        import torch

        return self.first + self.step * torch.arange(self.count, dtype=torch.float32)


def one_hot(bins: Tensor, count: int) -> Tensor:
    """(N, h, w) bins -> (N, count, h, w) float32, 1 in each cell's bin; 0 everywhere where it is none of them."""
    import torch

    return (torch.arange(count, device=bins.device).view(-1, 1, 1) == bins[:, None]).float()
