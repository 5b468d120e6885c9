"""Sums by row in graph form: one node of a graph, whatever the rows are."""

from __future__ import annotations

import torch
from torch import Tensor


def summed_by_row(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """(n, C) values -> (count, C) sums, in the order of the values; those with a negative row are left out.

    They are added to a row behind the others, so that no size depends on how many there are. It becomes
    ScatterElements; index_add would become ScatterND, in which onnxruntime's threads lose each other's summands.
    """
    sums = values.new_zeros(count + 1, values.shape[1])
    places = torch.where(rows < 0, count, rows).long()[:, None].expand_as(values)
    return sums.scatter_add(0, places, values)[:count]
