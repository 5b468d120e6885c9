"""A window into a running network: what happens in which stage. The benchmark and the tests look through it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

STAGES = ('backbone', 'cost volume', 'depth', 'geometry', 'lift', 'pre-process', 'motion', 'voxel', 'scene', 'encoder',
          'head')


class Probe:
    """Sees nothing; subclasses override what they want to see."""

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Entered round the computation of the stage ``name``, one of STAGES."""
        del name
        return nullcontext()

    def see(self, name: str, tensor: Tensor) -> None:
        """Called with intermediate results by name. Must not change them."""


BLIND = Probe()
