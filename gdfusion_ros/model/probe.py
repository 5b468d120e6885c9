"""A pass of one frame through a network, and a window into it: what happens in which stage.

The benchmark and the tests of recordings look through the window; the network itself does not depend on it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

STAGES = (
    'backbone',
    'cost volume',
    'depth',
    'geometry',
    'lift',
    'backward projection',
    'pre-process',
    'motion',
    'voxel',
    'scene',
    'queue',
    'encoder',
    'head',
)


class Probe:
    """Sees nothing; subclasses override what they want to see."""

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Entered round the computation of the stage ``name``, one of STAGES."""
        del name
        return nullcontext()

    def record(self, name: str, tensor: Tensor) -> None:
        """Called with intermediate results by name. Must not change them."""


BLIND = Probe()


@dataclass(frozen=True)
class Pass:
    """What all slots share while a frame goes through them.

    Attributes:
        probe: who looks on.
        device: of the network.
        autocast: whether learned layers may compute with half precision.
        spends: whether the last state is given away.
        first: in a graph, whether the frame is the first one of a sequence, a scalar: a graph is always given a state.
            None elsewhere, where that is said by having no state.
    """

    probe: Probe
    device: torch.device
    autocast: bool
    spends: bool = False
    first: Tensor | None = None

    def read(self, remembered: Tensor) -> None:
        """Nobody looks at that tensor of the last state again: it is emptied, where the state is given away."""
        if self.spends:
            remembered.set_()  # type: ignore[call-overload]

    def learned(self) -> torch.autocast:
        """For learned layers: with ``autocast``, half precision on CUDA, bfloat16 on a CPU, where torch deems it fit.

        Poses, points and memory keep full precision: rotated with eight bits, the ground would be metres off.
        """
        return torch.autocast('cuda' if self.device.type == 'cuda' else 'cpu', enabled=self.autocast)
