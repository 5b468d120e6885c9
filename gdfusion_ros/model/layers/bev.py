"""Bird's-eye views, encoded in two dimensions (alocc.md §9.6, gsdocc.md §3).

Columns are the volume as such a view, whose channels are its heights, as in FlashOcc (Yu et al., arXiv 2311.12058). In
a small network this costs less than 3-D convolutions, and what stands in a column is seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.layers.fusing import FusibleSequential
from gdfusion_ros.model.layers.resnet import BasicBlock
from gdfusion_ros.model.weights.keys import Table


class BevEncoder(nn.Module):
    """Stages of residual blocks; the first block of each has a strided 3x3 convolution on its shortcut."""

    def __init__(
        self, in_channels: int, channels: Sequence[int], blocks: Sequence[int], strides: Sequence[int]
    ) -> None:
        """One entry a stage in ``channels``, ``blocks`` and ``strides``."""
        super().__init__()
        self.layers = nn.ModuleList()
        for width, count, stride in zip(channels, blocks, strides, strict=True):
            self.layers.append(self.stage(in_channels, width, count, stride))
            in_channels = width

    @staticmethod
    def stage(in_channels: int, width: int, count: int, stride: int) -> nn.Sequential:
        """``count`` blocks that give ``width`` channels; the first one strides."""
        others = (ResidualBlock2d(width, width) for _ in range(count - 1))
        return nn.Sequential(ResidualBlock2d(in_channels, width, stride, shortcut=3), *others)

    def forward(self, view: Tensor) -> list[Tensor]:
        """(1, C, Y, X) -> the output (1, width, Y / stride, X / stride) of every stage."""
        levels = []
        for stage in self.layers:
            view = stage(view)
            levels.append(view)
        return levels


class BevNeck(nn.Module):
    """All levels at the finest one's size, concatenated and mixed by two 3x3 convolutions."""

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        """``channels`` of the levels, finest first."""
        super().__init__()
        self.conv = FusibleSequential(
            nn.Conv2d(sum(channels), out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels of the encoder, finest first -> (1, out, Y, X)."""
        mixed: Tensor = self.conv(torch.cat([stretched(level, levels[0].shape[2:]) for level in levels], 1))
        return mixed


class DoubledBevNeck(BevNeck):
    """The same, then stretched to twice the finest level's size and mixed once more."""

    def __init__(self, channels: Sequence[int], hidden: int, out_channels: int) -> None:
        """``channels`` of the levels, finest first; ``hidden`` before the stretch."""
        super().__init__(channels, hidden)
        self.up = FusibleSequential(
            nn.Conv2d(hidden, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1),
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels of the encoder, finest first -> (1, out, 2 Y, 2 X)."""
        y, x = levels[0].shape[2:]
        doubled: Tensor = self.up(stretched(super().forward(levels), (2 * y, 2 * x)))
        return doubled


def stretched(view: Tensor, size: Sequence[int]) -> Tensor:
    """The view (1, C, Y, X) at another (Y, X); corners stay corners."""
    return F.interpolate(view, size=tuple(size), mode='bilinear', align_corners=True)


DOUBLED_BEV_NECK: Table = {'conv.': 'conv.', **{f'up.{place}.': f'up2.{place + 1}.' for place in (0, 1, 3)}}


class ColumnEncoder(BevEncoder):
    """The same with ResNet's blocks over whole columns; their first one changes size and channels."""

    @staticmethod
    def stage(in_channels: int, width: int, count: int, stride: int) -> nn.Sequential:
        """``in_channels`` of the first stage are those of a whole column."""
        others = (BasicBlock(width, width, 1) for _ in range(count - 1))
        return nn.Sequential(BasicBlock(in_channels, width, stride), *others)

    def forward(self, volume: Tensor) -> list[Tensor]:
        """(1, C, Y, X, Z) -> the output (1, width, Y / stride, X / stride) of every stage."""
        columns = volume.permute(0, 4, 1, 2, 3).flatten(1, 2)
        return super().forward(columns.contiguous(memory_format=torch.channels_last))


class ColumnNeck(nn.Module):
    """All levels at the finest one's size, each through a 1x1 convolution, added up."""

    def __init__(self, channels: Sequence[int], out_channels: int) -> None:
        """``channels`` of the levels, finest first."""
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, out_channels, 1, bias=False) for width in channels)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels of the encoder, finest first -> (1, out, Y, X)."""
        size = levels[0].shape[2:]
        fused = self.lateral[0](levels[0])
        for level, lateral in zip(levels[1:], list(self.lateral)[1:], strict=True):
            fused += F.interpolate(lateral(level), size=size, mode='bilinear', align_corners=False)
        return torch.relu(self.bn(fused))
