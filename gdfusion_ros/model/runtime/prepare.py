"""Make a trained network ready to run: nothing here changes its numbers beyond rounding."""

from __future__ import annotations

import torch
from torch import nn

from gdfusion_ros.model.layers.fusing import Fusible
from gdfusion_ros.model.network import OccupancyNetwork

MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def prepare(network: OccupancyNetwork, device: torch.device) -> OccupancyNetwork:
    """The same network in evaluation mode, batch normalisation folded, weights channels-last, on ``device``."""
    network.eval().requires_grad_(False)
    fuse(network)
    lay_out(network)
    return network.to(device)


def lay_out(network: OccupancyNetwork) -> None:
    """Weights of convolutions channels-last, as the features are."""
    for parameter in network.parameters():
        if parameter.dim() in MEMORY_FORMATS:
            parameter.data = parameter.data.contiguous(memory_format=MEMORY_FORMATS[parameter.dim()])


def fuse(network: nn.Module) -> None:
    """Have every module fuse what it can."""
    for module in list(network.modules()):
        if isinstance(module, Fusible):
            module.fuse()
