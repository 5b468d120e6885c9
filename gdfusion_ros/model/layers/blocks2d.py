"""2-D residual blocks and the spatial pyramid of the depth networks (bevdetocc_gf.md §3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.fusing import FusibleSequential, folded
from gdfusion_ros.model.weights.keys import Table


class ResidualBlock2d(nn.Module):
    """Two 3x3 convolutions, the stride in the first, beside an identity or a convolution without normalisation."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: int | None = None) -> None:
        """Channels of the input and of the output.

        ``shortcut`` is the edge of the kernel of the convolution on the shortcut, 0 for the identity; where it is left
        open, it is 1 where the channels change and 0 elsewhere.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(channels)
        edge = int(in_channels != channels) if shortcut is None else shortcut
        self.downsample: nn.Module | None = None
        if edge:
            self.downsample = nn.Conv2d(in_channels, channels, edge, stride, edge // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)

    def fuse(self) -> None:
        """Fold both normalisations."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1), nn.Identity()
        self.conv2, self.bn2 = folded(self.conv2, self.bn2), nn.Identity()

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """The second after the first."""
        return [(self.conv1, self.conv2)]


class DilatedConv(nn.Module):
    """One branch of the pyramid: dilated convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        """The padding equals the dilation, so the size is kept."""
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, padding=dilation if kernel > 1 else 0, dilation=dilation, bias=False
        )
        self.bn: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h, w)."""
        return F.relu(self.bn(self.conv(x)), inplace=True)

    def fuse(self) -> None:
        """Fold the normalisation."""
        self.conv, self.bn = folded(self.conv, self.bn), nn.Identity()


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: four dilations and the image's mean, mixed by a 1x1 convolution."""

    def __init__(self, channels: int, branch_channels: int) -> None:
        """``channels`` in and out, ``branch_channels`` of each branch."""
        super().__init__()
        self.branches = nn.ModuleList(
            DilatedConv(channels, branch_channels, kernel, dilation)
            for kernel, dilation in ((1, 1), (3, 6), (3, 12), (3, 18))
        )
        self.pooled = FusibleSequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, branch_channels, 1, bias=False),
            nn.BatchNorm2d(branch_channels),
            nn.ReLU(),
        )
        self.conv = nn.Conv2d(5 * branch_channels, channels, 1, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        mean = self.pooled(x).expand(-1, -1, *x.shape[-2:])
        return F.relu(self.bn(self.conv(torch.cat([*(branch(x) for branch in self.branches), mean], 1))), inplace=True)

    def fuse(self) -> None:
        """Fold the normalisation of the mixture."""
        self.conv, self.bn = folded(self.conv, self.bn), nn.Identity()


SPATIAL_PYRAMID: Table = {
    **{
        f'branches.{index}.{ours}': f'aspp{index + 1}.{published}'
        for index in range(4)
        for ours, published in (('conv.', 'atrous_conv.'), ('bn.', 'bn.'))
    },
    'pooled.': 'global_avg_pool.',
    'conv.': 'conv1.',
    'bn.': 'bn1.',
}
