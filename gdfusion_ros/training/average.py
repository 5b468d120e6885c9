"""The moving average of the weights, which is what a training run gives."""

from __future__ import annotations

import copy
import math

import torch

from gdfusion_ros.model.network import OccupancyNetwork

RISE = 2000
"""Updates after which the decay has come most of its way: the first weights of a run are soon forgotten."""


class WeightAverage:
    """Exponential moving average of every weight and of the batch normalisations' statistics.

    Attributes:
        network: holds the average; in evaluation mode, without gradients.
    """

    def __init__(self, network: OccupancyNetwork, decay: float) -> None:
        """Starts as a copy of ``network``; ``decay`` is the share of the old average that each update keeps at last."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: OccupancyNetwork, updates: int) -> None:
        """Take in the weights of ``network`` after its update number ``updates``, counted from 1."""
        decay = self._decay * (1 - math.exp(-updates / RISE))
        mine, theirs = self.network.state_dict(), network.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], 1 - decay)
            else:
                value.copy_(theirs[name])
