"""Features as the bytes that stand for them in a layer of 8 bits (docs/quantization.md)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.codes import cpu, reference


def codes(features: Tensor, step: float, zero: int) -> Tensor:
    """uint8 q of the same shape with ``(q - zero) * step`` nearest to ``features``; halves go to even numbers.

    What lies beyond 0..255 counts as the nearest end. The layout in memory stays: channels-last features give bytes of
    channels-last.
    """
    # Layers of 8 bits are for CPUs, so that there is no Triton kernel.
    form = cpu.codes if compiled.usable(features) else reference.codes
    return form(features, step, zero)
