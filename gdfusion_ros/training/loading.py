"""Examples read, decoded and augmented ahead of time, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.stopping import leave_to_first_process
from gdfusion_ros.training.examples import Example, Examples
from gdfusion_ros.training.stream import Item

_AHEAD = 4
"""Examples that each worker process keeps ready."""


def load(examples: Examples, items: Iterable[Item], workers: int, device: torch.device) -> Iterator[Example]:
    """The examples of ``items``, in order.

    Args:
        examples: where they come from.
        items: which ones.
        workers: how many processes read ahead; 0 reads here.
        device: where they will go; for CUDA they are put where it can fetch them by itself.

    Raises:
        GdfusionError: a file is missing or damaged, or a worker process is gone.
    """
    loader = DataLoader(
        _Told(examples),
        batch_size=None,
        sampler=items,
        num_workers=workers,
        worker_init_fn=_ignore_interrupts,
        prefetch_factor=_AHEAD if workers else None,
        pin_memory=device.type == 'cuda',
    )
    try:
        for found in loader:
            if isinstance(found, GdfusionError):
                raise found
            yield found
    except RuntimeError as error:
        if not str(error).startswith('DataLoader worker (pid'):
            raise
        raise GdfusionError(
            f'a process that reads data is gone ({error}); is there enough memory for {workers} workers?'
        ) from error


class _Told(TorchDataset[Example | GdfusionError]):
    """Examples, and errors as values: raised in a worker process, an error would arrive with that one's traceback."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __getitem__(self, item: Item) -> Example | GdfusionError:
        try:
            return self._examples[item]
        except GdfusionError as error:
            return error


def _ignore_interrupts(_: int) -> None:
    """The run still needs the workers to the end of its step."""
    leave_to_first_process()
