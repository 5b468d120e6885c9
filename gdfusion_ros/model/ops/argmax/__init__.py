"""The class of every voxel: the highest score behind the unused slot 0; of equals the first (bevdetocc_gf.md §8)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.argmax import cpu, reference


def argmax(scores: Tensor) -> Tensor:
    """(n, m, K) scores -> (n, m) uint8 class ids: the place of the highest score, less one."""
    return cpu.argmax(scores) if compiled.usable(scores) else reference.argmax(scores)
