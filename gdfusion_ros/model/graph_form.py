"""Graph form: how a network computes while it is written down as a graph for another runtime (docs/deploy.md).

The plain reference of every operation instead of what is compiled for this machine, whole volumes instead of parts that
fit into its cache, and no size that depends on the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ACTIVE: list[None] = []


def in_graph_form() -> bool:
    """Whether networks of this process compute in graph form."""
    return bool(_ACTIVE)


@contextmanager
def graph_form() -> Iterator[None]:
    """While it lasts, they do: geometry as well as what is computed from it."""
    _ACTIVE.append(None)
    try:
        yield
    finally:
        _ACTIVE.pop()


def unless_first(first: Tensor | None, later: Tensor, at_start: Tensor) -> Tensor:
    """What follows from a state; in a graph, which is always given one, ``at_start`` where the sequence starts.

    Args:
        first: scalar, whether it does; None outside of graphs.
        later: what follows from the state.
        at_start: what stands for it at the start.
    """
    if first is None:
        return later
    import torch

    return torch.where(first, at_start, later)
