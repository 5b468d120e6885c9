"""Convolutions and linear layers of 8-bit integers, on a CPU by oneDNN.

An input x stands for (q - zero) * step with q = 0..255 the nearest such integer, a weight of channel c for w * step[c]
with w = -127..127. Products of integers are summed without rounding; the sum comes out as float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import in_graph_form
from gdfusion_ros.model.layers.fusing import Chained
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.ops.codes import codes
from gdfusion_ros.model.ops.codes.reference import HIGHEST

Float = nn.Conv2d | nn.Conv3d | nn.Linear
"""What can be put into 8 bits."""

_MOST = 127


@dataclass(frozen=True)
class InputRange:
    """What a layer is given: from ``lower`` to ``upper``, 0 included. What lies beyond counts as the nearest end."""

    lower: float
    upper: float

    def steps(self) -> tuple[float, int]:
        """The size of a step, and the integer that 0 is."""
        step = max(self.upper - self.lower, torch.finfo(torch.float32).tiny) / HIGHEST
        return step, round(-self.lower / step)

    def narrowed(self) -> InputRange:
        """Cut off where the farther end was half as far."""
        end = max(-self.lower, self.upper) / 2
        return InputRange(max(self.lower, -end), min(self.upper, end))


class QuantizedConv(nn.Module):
    """A convolution of two or three dimensions.

    Attributes:
        weight: (out, in, …) int8.
        weight_step: (out,) float32.
        bias: (out,) float32.
        input_step: () float32.
        input_zero: () int32.
    """

    weight: Tensor
    weight_step: Tensor
    bias: Tensor
    input_step: Tensor
    input_zero: Tensor

    def __init__(self, layer: Float, given: InputRange = InputRange(0.0, 1.0)) -> None:
        """Of ``layer``, which is given what lies in that range."""
        super().__init__()
        weight = layer.weight.detach()
        step = weight.abs().flatten(1).amax(1).clamp_min(torch.finfo(torch.float32).tiny) / _MOST
        rounded = torch.round(weight / _by_channel(step, weight.dim())).to(torch.int8)
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()
        input_step, input_zero = given.steps()
        self.register_buffer('weight', rounded)
        self.register_buffer('weight_step', step)
        self.register_buffer('bias', bias)
        self.register_buffer('input_step', torch.tensor(input_step))
        self.register_buffer('input_zero', torch.tensor(input_zero, dtype=torch.int32))
        self._stride, self._padding, self._dilation, self._groups = _window(layer)
        self._packed: _Packed | None = None
        self._scale: tuple[float, int] | None = None
        self._reader: list[QuantizedConv] = []

    def give_codes_to(self, reader: QuantizedConv | None) -> None:
        """Give the codes of ``reader``, which alone sees them, through a ReLU that is applied here; or give floats.

        That is one pass over them instead of three.
        """
        self._reader = [] if reader is None else [reader]  # in a list, since it is no part of this module

    def forward(self, features: Tensor) -> Tensor:
        """As the convolution that it is made of."""
        return self.reference(features) if in_graph_form() else self._by_onednn(features)

    def _by_onednn(self, features: Tensor) -> Tensor:
        packed, (step, zero) = self._prepared(features.shape), self.input_scale()
        given_step, given_zero, given_type = self._output_scale()
        out: Tensor = torch.ops.onednn.qconv_pointwise(
            features if features.dtype == torch.uint8 else codes(features, step, zero),
            step,
            zero,
            packed.weight,
            self.weight_step,
            packed.weight_zeros,
            self.bias,
            self._stride,
            self._padding,
            self._dilation,
            self._groups,
            given_step,
            given_zero,
            given_type,
            'none',
            [],
            '',
        )
        return out

    def reference(self, features: Tensor) -> Tensor:
        """The same in floats: what ``forward`` means, and what a graph says in ONNX' own operators."""
        from torch.ao.quantization.fx import _decomposed as _  # noqa: F401  # makes these operators

        (step, zero), ops = self.input_scale(), torch.ops.quantized_decomposed
        given = ops.quantize_per_tensor(features, step, zero, 0, HIGHEST, torch.uint8)
        given = ops.dequantize_per_tensor(given, step, zero, 0, HIGHEST, torch.uint8)
        weight = ops.dequantize_per_channel(self.weight, self.weight_step, None, 0, -_MOST, _MOST, torch.int8)
        conv = F.conv2d if self.weight.dim() == 4 else F.conv3d
        return conv(given, weight, self.bias, self._stride, self._padding, self._dilation, self._groups)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is prepared, which cannot be copied."""
        return {**self.__dict__, '_packed': None}

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._packed = self._scale = None

    def _prepared(self, shape: Sequence[int]) -> _Packed:
        """Weights as oneDNN wants them for inputs of that shape; it takes them for others, too, and then turns them."""
        if self._packed is None:
            step, zero = self.input_scale()
            packed = torch.ops.onednn.qconv_prepack(
                self.weight,
                self.weight_step,
                step,
                zero,
                self._stride,
                self._padding,
                self._dilation,
                self._groups,
                shape,
            )
            self._packed = _Packed(packed, torch.zeros(len(self.bias), dtype=torch.int64))
        return self._packed

    def input_scale(self) -> tuple[float, int]:
        """Size of a step and the integer that 0 is, as numbers: read once, since a graph has no values to be read."""
        if self._scale is None:
            self._scale = float(self.input_step), int(self.input_zero)
        return self._scale

    def _output_scale(self) -> tuple[float, int, torch.dtype]:
        """Step, zero and type of what is given; bytes from 0 on end where a ReLU does."""
        for reader in self._reader:
            step, zero = reader.input_scale()
            if zero == 0:
                return step, zero, torch.uint8
        return 1.0, 0, torch.float32


class QuantizedLinear(QuantizedConv):
    """A linear layer, (…, in) -> (…, out), as a convolution of a map whose pixels are the rows."""

    @property
    def in_features(self) -> int:
        """As of nn.Linear."""
        return self.weight.shape[1]

    def _by_onednn(self, cells: Tensor) -> Tensor:
        return rows(super()._by_onednn(_as_map(cells))).view(*cells.shape[:-1], -1)

    def reference(self, cells: Tensor) -> Tensor:
        """The same in floats."""
        return rows(super().reference(_as_map(cells))).view(*cells.shape[:-1], -1)


@dataclass(frozen=True)
class _Packed:
    """What oneDNN is given beside the input."""

    weight: Tensor
    weight_zeros: Tensor


def quantized(layer: Float, given: InputRange = InputRange(0.0, 1.0)) -> QuantizedConv:
    """The layer in 8 bits."""
    if isinstance(layer, nn.Linear):
        with torch.no_grad():
            conv = nn.Conv2d(layer.in_features, layer.out_features, 1)
            conv.weight.copy_(layer.weight[..., None, None])
            conv.bias = layer.bias
        return QuantizedLinear(conv, given)
    return QuantizedConv(layer, given)


def chain(network: nn.Module) -> None:
    """Let layers in 8 bits pass codes on where the modules that own them say that nothing else sees these."""
    for module in network.modules():
        for first, second in module.chains() if isinstance(module, Chained) else ():
            if isinstance(first, QuantizedConv):
                first.give_codes_to(second if isinstance(second, QuantizedConv) else None)


def _as_map(cells: Tensor) -> Tensor:
    """(…, C) -> (1, C, 1, n), a view of rows that follow each other."""
    return cells.reshape(1, 1, -1, cells.shape[-1]).permute(0, 3, 1, 2)


def _by_channel(step: Tensor, dimensions: int) -> Tensor:
    return step.view(-1, *[1] * (dimensions - 1))


def _window(layer: Float) -> tuple[Sequence[int], Sequence[int], Sequence[int], int]:
    """Stride, padding, dilation and groups."""
    assert isinstance(layer, (nn.Conv2d, nn.Conv3d))
    assert isinstance(layer.padding, tuple)
    return layer.stride, layer.padding, layer.dilation, layer.groups
