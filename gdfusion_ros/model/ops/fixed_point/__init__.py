"""Features in half the bytes, true to a fixed step: what is kept of an image until the next one is matched with it.

The cost of a match is a sum of distances (bevdetocc_gf.md §2.1), for which small errors of large values count as much
as those of small ones. So 16 bits in steps of a channel's largest value over 65535 come ten times as close to it as
float16 does. They are signed, though features are not: torch 2.13 can pickle uint16, but not read it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.fixed_point import cpu, reference

HIGHEST = 65535
_SMALLEST_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Features that are nowhere negative.

    Attributes:
        codes: (N, C, h, w) int16, counted from ``ZERO``, which stands for 0 alone, since the cost tests for it.
        step: (N, C, 1, 1) float32; no number where a feature was none.
    """

    codes: Tensor
    step: Tensor

    @staticmethod
    def of(features: Tensor) -> FixedPoint:
        """The nearest ones to (N, C, h, w) float32 ``features`` >= 0; no gradient goes through."""
        with torch.no_grad():
            step = (features.amax((2, 3), keepdim=True) / HIGHEST).clamp_min_(_SMALLEST_STEP)
            encode = cpu.encode if compiled.usable(features) else reference.encode
            return FixedPoint(encode(features, 1 / step), step)

    def features(self) -> Tensor:
        """(N, C, h, w) float32."""
        decode = cpu.decode if compiled.usable(self.step) else reference.decode
        return decode(self.codes, self.step)
