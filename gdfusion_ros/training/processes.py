"""One process or several: what torchrun says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(frozen=True)
class Processes:
    """This process among those of a run: ``rank`` of ``count``; rank 0 writes files and speaks."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def gathered(self, value: Any) -> list[Any]:
        """``value`` of every process, in every process; plain values and CPU tensors."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes of this run: those that torchrun has started, or this one alone."""
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        yield Processes()
        return
    distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    try:
        yield Processes(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
