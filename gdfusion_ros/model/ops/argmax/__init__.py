"""The class of every voxel: the highest score behind unused slots; of equals the first (bevdetocc_gf.md §8)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops.argmax import cpu, reference
from gdfusion_ros.model.ops.backends import select


def argmax(scores: Tensor, first: int = 1) -> Tensor:
    """(n, m, K) scores -> (n, m) uint8 class ids: the place of the highest score from the place ``first`` on."""
    return select(reference.argmax, cpu.argmax, scores)(scores, first)
