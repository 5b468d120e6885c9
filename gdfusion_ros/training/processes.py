"""One process or several: what torchrun, or whatever else has started them, says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn

from gdfusion_ros.errors import GdfusionError

_PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: one may have more scenes to validate on than others."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a run: ``rank`` of ``count``; rank 0 writes files and speaks.

    What they tell each other are plain values and CPU tensors; it takes no GPU, and waits for none.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def gathered(self, value: Any) -> list[Any]:
        """``value`` of every process, in every process."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def collected(self, value: Any) -> list[Any]:
        """``value`` of every process, in the first one; an empty list in the others."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count if self.first else []
        distributed.gather_object(value, values or None)
        return values

    def share(self, network: nn.Module) -> None:
        """Give all processes the first one's weights and statistics."""
        if self.count > 1:
            for value in network.state_dict().values():
                distributed.broadcast(value, 0)

    def wait(self) -> None:
        """Until all are here."""
        self.gathered(None)


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """The processes of this run, those that torchrun has started or this one alone, and this one's device.

    Processes that know each other already (Ray Train lets its own meet) are taken as they are.

    Args:
        device: What was asked for. Of several GPUs each process takes its own.

    Raises:
        GdfusionError: several processes are to share one GPU.
    """
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        yield ALONE, device
        return
    if device.type == 'cuda':
        device = _own(device)
    if distributed.is_initialized():
        yield Processes(distributed.get_rank(), count), device
        return
    distributed.init_process_group('cpu:gloo,cuda:nccl' if device.type == 'cuda' else 'gloo', timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), count), device
    finally:
        distributed.destroy_process_group()


def _own(device: torch.device) -> torch.device:
    local, there = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
    if str(device) != 'cuda' or local >= there:
        raise GdfusionError(
            f'each process needs a GPU of its own: torch sees {there}, process {local} was to take '
            f"'{device}'; start at most {there} processes, with --device cuda"
        )
    device = torch.device('cuda', local)
    torch.cuda.set_device(device)
    return device
