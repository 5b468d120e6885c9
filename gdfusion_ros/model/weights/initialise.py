"""Random weights to train from, or to try a network with."""

from __future__ import annotations

import math

import torch
from torch import nn

from gdfusion_ros.model.depth.occlusion import IntraInterRay
from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.layers.fusing import TRANSPOSED
from gdfusion_ros.model.layers.resnet import BasicBlock, Bottleneck
from gdfusion_ros.model.layers.volume import ResidualBlock3d
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.temporal.scene import SceneFusion
from gdfusion_ros.model.view.backward_projection import BackwardProjection

UNTRAINED_SEED = 0
UNTRAINED_FREE_BIAS = 8.0
LAST_NORMS: dict[type[nn.Module], str] = {
    Bottleneck: 'bn3',
    BasicBlock: 'bn2',
    ResidualBlock2d: 'bn2',
    ResidualBlock3d: 'conv2.bn',
}
"""The batch normalisation at the end of each residual branch."""


def initialise(network: OccupancyNetwork, seed: int) -> None:
    """Random weights to train from; the same for the same seed on every machine.

    Activations neither vanish nor explode, and residual branches weigh half.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        _draw(module, generator)
    for module in network.modules():
        if isinstance(module, IntraInterRay):
            module.start()
        for block, norm in LAST_NORMS.items():
            if isinstance(module, block):
                nn.init.constant_(module.get_submodule(norm).get_parameter('weight'), 0.5)


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    """The module's own weights; batch normalisation keeps those that it is made with."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity='relu', generator=generator)
    elif isinstance(module, TRANSPOSED):
        taps = math.prod(module.kernel_size) / math.prod(module.stride)  # that reach one place
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)), generator=generator)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, generator=generator)
    elif isinstance(module, SceneFusion):
        nn.init.normal_(module.weight, std=module.weight.shape[-1] ** -0.5, generator=generator)
    elif isinstance(module, BackwardProjection):
        for learned in (module.queries, module.column_code, module.row_code):
            nn.init.normal_(learned, generator=generator)
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear, *TRANSPOSED)) and module.bias is not None:
        nn.init.zeros_(module.bias)


def untrained(network: OccupancyNetwork) -> None:
    """Random weights for a trial: free space is the likely class, so that the grid can be looked at."""
    initialise(network, UNTRAINED_SEED)
    network.decoder.favour_free(UNTRAINED_FREE_BIAS)
