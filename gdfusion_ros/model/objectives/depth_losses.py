"""Losses of the depth of image cells, one for each kind of truth (training.md)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.objectives.interface import IGNORE


def depth_binary(probability: Tensor, bins: Tensor) -> Tensor:
    """Binary cross-entropy of a depth distribution, summed over the bins, mean over the cells that have a depth.

    Args:
        probability: (N, D, h, w).
        bins: (N, h, w) index of the true bin, IGNORE where none is known.
    """
    seen = bins != IGNORE
    chosen = probability.permute(0, 2, 3, 1)[seen]
    truth = F.one_hot(bins[seen].long(), probability.shape[1]).to(chosen.dtype)
    return F.binary_cross_entropy(chosen, truth, reduction='sum') / max(1, len(chosen))


def depth_likelihood(probability: Tensor, bins: Tensor) -> Tensor:
    """Mean of -ln(probability of the true bin) over the cells that have a depth; arguments as ``depth_binary``."""
    seen = bins != IGNORE
    chosen = probability.permute(0, 2, 3, 1)[seen]
    true = chosen.gather(1, bins[seen].long()[:, None])
    return -(true + 1e-8).log().sum() / max(1, len(chosen))


def depth_between(probability: Tensor, places: Tensor) -> Tensor:
    """Mean cross-entropy of depth distributions with depths between two bins, of which the nearer weighs more.

    Args:
        probability: (N, D, h, w).
        places: (N, h, w) true depth in bins, 0 to D - 1; NaN where none is known.
    """
    seen = ~places.isnan()
    chosen, place = probability.permute(0, 2, 3, 1)[seen], places[seen]
    below = place.floor().clamp(max=probability.shape[1] - 2)
    share, low = place - below, below.long()
    pair = chosen.gather(1, torch.stack([low, low + 1], 1))
    return -((pair + 1e-8).log() * torch.stack([1 - share, share], 1)).sum() / max(1, len(chosen))


def spread(cells: Tensor, size: torch.Size) -> Tensor:
    """(N, C, h, w) -> (N, C, r h, r w), where ``size`` is (N, r h, r w): the same for every ray through a cell."""
    rays = size[-1] // cells.shape[-1]
    return cells.repeat_interleave(rays, 2).repeat_interleave(rays, 3)
