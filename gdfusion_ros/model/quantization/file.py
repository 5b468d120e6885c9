"""Files of networks in 8 bits: safetensors, with the prepared network's own keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.quantization.choice import put
from gdfusion_ros.model.quantization.layers import QuantizedConv, chain, quantized
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.saved_state import read_state, write_state

INT8 = 'int8'
_STEP = '.weight_step'


def save_quantized(network: OccupancyNetwork, path: Path, facts: WeightsMetadata) -> None:
    """Write a network whose layers are as they shall be, and the facts with it.

    Raises:
        GdfusionError: the file cannot be written.
    """
    # Cloned, since safetensors writes no tensor twice, and some networks have tied ones.
    state = {key: value.cpu().contiguous().clone() for key, value in network.state_dict().items()}
    write_state(state, path, replace(facts, precision=INT8))


def load_quantized(network: OccupancyNetwork, path: Path) -> None:
    """Load such a file into a prepared network: layers that have 8 bits there get 8 bits.

    Raises:
        GdfusionError: the file cannot be read, is of another network, or its numbers cannot be.
    """
    found = read_state(path)
    for name in [key.removesuffix(_STEP) for key in found if key.endswith(_STEP)]:
        layer = _layer(network, name)
        if layer is None:
            raise _misfit(path, network, f'there is no convolution {name} in it')
        put(network, name, quantized(layer))
    own = network.state_dict()
    faults = [
        f'{kind} {", ".join(sorted(names)[:4])}'
        for kind, names in (
            ('missing', own.keys() - found.keys()),
            ('unexpected', found.keys() - own.keys()),
            (
                'of another shape or type',
                {
                    key
                    for key in own.keys() & found.keys()
                    if (own[key].shape, own[key].dtype) != (found[key].shape, found[key].dtype)
                },
            ),
        )
        if names
    ]
    if faults:
        raise _misfit(path, network, '; '.join(faults))
    network.load_state_dict(found)
    for key, tensor in found.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise GdfusionError(f'{path} has numbers in {key} that are not finite: make it anew')
    for name, module in network.named_modules():
        if isinstance(module, QuantizedConv) and (fault := _impossible(module)):
            raise GdfusionError(f'{path}: {name} {fault}, so this is no file of gdfusion quantize: make it anew')
    chain(network)


def _layer(network: OccupancyNetwork, name: str) -> nn.Conv2d | nn.Conv3d | nn.Linear | None:
    layer = dict(network.named_modules()).get(name)
    return layer if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)) else None


def _impossible(layer: QuantizedConv) -> str:
    """What of a layer's numbers cannot be; empty where all can."""
    steps: list[Tensor] = [layer.input_step, layer.weight_step]
    if not all((step > 0).all() for step in steps):
        return 'has steps that are not above 0'
    return '' if 0 <= int(layer.input_zero) <= 255 else f'has {int(layer.input_zero)} for zero, of 0 to 255'


def _misfit(path: Path, network: OccupancyNetwork, fault: str) -> GdfusionError:
    return GdfusionError(
        f'{path} does not fit {network.spec.name} in 8 bits: {fault}. Is it of another model? Then name that one'
    )
