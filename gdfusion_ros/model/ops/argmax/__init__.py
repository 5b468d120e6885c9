"""The class of every voxel: the highest score behind unused slots; of equals the first (bevdetocc_gf.md §8)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.argmax import cpu, reference


def argmax(scores: Tensor, first: int = 1) -> Tensor:
    """(n, m, K) scores -> (n, m) uint8 class ids: the place of the highest score from the place ``first`` on."""
    highest = cpu.argmax if compiled.usable(scores) else reference.argmax
    return highest(scores, first)
