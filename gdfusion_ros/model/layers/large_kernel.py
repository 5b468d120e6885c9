"""A residual block that sees far: a depth-wise 11x11x1 convolution and a per-voxel perceptron (gsdocc.md §5).

As in UniRepLKNet (Ding et al., arXiv 2311.15599). While it learns, smaller dilated kernels stand beside the large one.
``merge`` makes one convolution of them: the form in which the network runs, and in which some checkpoints come.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.fusing import Mergeable, scale_and_shift
from gdfusion_ros.model.weights.keys import Table

EDGE = 11
"""Of the large kernel."""

DILATED = ((5, 1), (5, 2), (3, 3), (3, 4), (3, 5))
"""Edge and dilation of the kernels beside it."""


class PlanarKernel(nn.Module):
    """One kernel a channel, over y and x alone, then batch normalisation."""

    def __init__(self, channels: int, edge: int, dilation: int) -> None:
        """The padding keeps the size."""
        super().__init__()
        pad = dilation * (edge // 2)
        self.conv = nn.Conv3d(
            channels,
            channels,
            (edge, edge, 1),
            padding=(pad, pad, 0),
            dilation=(dilation, dilation, 1),
            groups=channels,
            bias=False,
        )
        self.bn: nn.Module = nn.BatchNorm3d(channels)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, Y, X, Z) -> the same size."""
        normed: Tensor = self.bn(self.conv(volume))
        return normed

    def folded(self) -> tuple[Tensor, Tensor]:
        """Kernel (C, 1, EDGE, EDGE, 1) in the large one's grid of taps, and bias (C,); float64."""
        scale, shift = scale_and_shift(self.bn)
        spread = self.conv.weight.new_zeros(len(scale), 1, EDGE, EDGE, 1, dtype=torch.float64)
        edge, step = self.conv.kernel_size[0], self.conv.dilation[0]
        first = EDGE // 2 - step * (edge // 2)
        taps = slice(first, EDGE - first, step)
        spread[:, :, taps, taps] = self.conv.weight.double() * scale.view(-1, 1, 1, 1, 1)
        return spread, shift


class ChannelGate(nn.Module):
    """Squeeze and excitation without a sigmoid [QUIRK]."""

    def __init__(self, channels: int) -> None:
        """A quarter of the ``channels`` are left in between."""
        super().__init__()
        self.down = nn.Conv3d(channels, channels // 4, 1)
        self.up = nn.Conv3d(channels // 4, channels, 1)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, Y, X, Z) -> the same, each channel weighed by what all channels are on average."""
        gate: Tensor = self.up(F.relu(self.down(volume.mean((2, 3, 4), keepdim=True))))
        return volume * gate


class ResponseNorm(nn.Module):
    """Global response normalisation (Woo et al., ConvNeXt V2, arXiv 2301.00808)."""

    def __init__(self, channels: int) -> None:
        """At first it changes nothing."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, 1, 1, channels))
        self.bias: nn.Parameter | None = nn.Parameter(torch.zeros(1, 1, 1, 1, channels))

    def forward(self, voxels: Tensor) -> Tensor:
        """(B, Y, X, Z, C) -> the same, channels louder than the average raised over the others."""
        size = torch.linalg.vector_norm(voxels, dim=(1, 2, 3), keepdim=True)
        response = size / (size.mean(-1, keepdim=True) + 1e-6)
        raised: Tensor = voxels * (self.weight * response + 1)
        return raised if self.bias is None else raised + self.bias


class LayerScale(nn.Module):
    """A factor a channel."""

    def __init__(self, channels: int) -> None:
        """Small at first, so that the block begins as the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, voxels: Tensor) -> Tensor:
        """(…, C) -> the same."""
        return voxels * self.weight


class LargeKernelBlock(Mergeable):
    """x + f(x): the kernels, a gate of the channels, and a perceptron of every voxel."""

    def __init__(self, channels: int) -> None:
        """``channels`` in and out."""
        super().__init__()
        hidden = 4 * channels
        self.kernels = nn.ModuleList(PlanarKernel(channels, edge, step) for edge, step in ((EDGE, 1), *DILATED))
        self.norm: nn.Module = nn.BatchNorm3d(channels)
        self.gate = ChannelGate(channels)
        self.widen = nn.Linear(channels, hidden)
        self.response = ResponseNorm(hidden)
        self.narrow = nn.Linear(hidden, channels, bias=False)
        self.narrow_norm: nn.Module = nn.BatchNorm3d(channels)
        self.scale: nn.Module = LayerScale(channels)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, Y, X, Z) -> the same size."""
        y = self.gate(self.norm(self.planar(volume)))
        y = self.narrow(self.response(F.gelu(self.widen(y.movedim(1, -1)))))
        y = self.scale(self.narrow_norm(y.movedim(-1, 1)).movedim(1, -1))
        seen: Tensor = volume + y.movedim(-1, 1)
        return seen

    def planar(self, volume: Tensor) -> Tensor:
        """The sum of all kernels' outputs."""
        first, *others = self.kernels
        total: Tensor = first(volume)
        for kernel in others:
            total = total + kernel(volume)
        return total

    @property
    def merged(self) -> bool:
        """Whether it is one kernel and one perceptron."""
        return isinstance(self.norm, nn.Identity)

    @torch.no_grad()
    def merge(self) -> None:
        """One kernel and one perceptron without normalisations, as re-parameterised checkpoints have them."""
        if self.merged:
            return
        self._merge_kernels()
        self._merge_perceptron()

    fuse = merge

    def _merge_kernels(self) -> None:
        folded = [kernel.folded() for kernel in self.kernels if isinstance(kernel, PlanarKernel)]
        scale, shift = scale_and_shift(self.norm)
        merged = PlanarKernel(len(scale), EDGE, 1)
        merged.bn, self.norm = nn.Identity(), nn.Identity()
        merged.conv.weight = self._weights(sum(weight for weight, _ in folded) * scale.view(-1, 1, 1, 1, 1))
        merged.conv.bias = self._weights(sum(bias for _, bias in folded) * scale + shift)
        self.kernels = nn.ModuleList([merged])

    def _merge_perceptron(self) -> None:
        scale, shift = scale_and_shift(self.narrow_norm)
        layer_scale = self.scale.get_parameter('weight').double()
        raised = self.narrow.weight.double() @ self.response.get_parameter('bias').double().flatten()
        self.narrow.weight = self._weights(self.narrow.weight.double() * (scale * layer_scale)[:, None])
        self.narrow.bias = self._weights((raised * scale + shift) * layer_scale)
        self.response.bias = None
        self.narrow_norm, self.scale = nn.Identity(), nn.Identity()

    def _weights(self, values: Tensor) -> nn.Parameter:
        """Of a merged layer: float32, learning where the other layers do."""
        return nn.Parameter(values.float(), self.widen.weight.requires_grad)


LARGE_KERNEL: Table = {
    'kernels.0.conv.': 'dwconv.lk_origin.',
    'kernels.0.bn.': 'dwconv.origin_bn.',
    **{
        f'kernels.{place}.{ours}.': f'dwconv.dil_{ours}_k{edge}_{step}.'
        for place, (edge, step) in enumerate(DILATED, start=1)
        for ours in ('conv', 'bn')
    },
    'norm.': 'norm.',
    'gate.': 'se.',
    'widen.': 'pwconv1.1.',
    'response.weight': 'act.1.gamma',
    'response.bias': 'act.1.beta',
    'narrow.': 'pwconv2.0.',
    'narrow_norm.': 'pwconv2.2.',
    'scale.weight': 'gamma',
}
