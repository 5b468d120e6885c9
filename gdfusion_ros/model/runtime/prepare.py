"""Make a trained network ready to run: nothing here changes its numbers beyond rounding."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gdfusion_ros.model.network import OccupancyNetwork

MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def prepare(network: OccupancyNetwork, device: torch.device) -> OccupancyNetwork:
    """The same network in evaluation mode, batch normalisation folded, weights channels-last, on ``device``."""
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    lay_out(network)
    return network.to(device)


def lay_out(network: OccupancyNetwork) -> None:
    """Weights of convolutions channels-last, as the features are."""
    for parameter in network.parameters():
        if parameter.dim() in MEMORY_FORMATS:
            parameter.data = parameter.data.contiguous(memory_format=MEMORY_FORMATS[parameter.dim()])


def fold_batch_norms(module: nn.Module) -> None:
    """Multiply every batch normalisation that directly follows its convolution into the convolution, in float64.

    'Follows' means: registered next in the same module, with the convolution's channels.
    """
    last_name, last = '', nn.Module()
    for name, child in list(module.named_children()):
        if _normalises(child, last):
            folded = fuse_conv_bn_eval(last.double(), child.double()).float()  # type: ignore[type-var, arg-type]
            setattr(module, last_name, folded)
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norms(child)
        last_name, last = name, child


def _normalises(norm: nn.Module, conv: nn.Module) -> bool:
    pairs = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))
    return any(isinstance(conv, convolution) and isinstance(norm, normalisation)
               and norm.num_features == conv.out_channels for convolution, normalisation in pairs)
