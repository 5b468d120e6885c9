"""Columns: the volume as a bird's-eye view whose channels are its heights, encoded in two dimensions.

As in FlashOcc (Yu et al., arXiv 2311.12058). In a small network this costs less than 3-D convolutions, and what
stands in a column is seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.resnet import BasicBlock


class ColumnEncoder(nn.Module):
    """Stages of residual blocks over the bird's-eye view; the first block of each stage changes size and channels."""

    def __init__(self, in_channels: int, channels: Sequence[int], blocks: Sequence[int],
                 strides: Sequence[int]) -> None:
        """``in_channels`` of a whole column; one entry a stage in ``channels``, ``blocks`` and ``strides``."""
        super().__init__()
        self.layers = nn.ModuleList()
        for width, count, stride in zip(channels, blocks, strides, strict=True):
            others = (BasicBlock(width, width, 1) for _ in range(count - 1))
            self.layers.append(nn.Sequential(BasicBlock(in_channels, width, stride), *others))
            in_channels = width

    def forward(self, volume: Tensor) -> list[Tensor]:
        """(1, C, Y, X, Z) -> the output (1, width, Y / stride, X / stride) of every stage."""
        levels, view = [], volume.permute(0, 4, 1, 2, 3).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        for stage in self.layers:
            view = stage(view)
            levels.append(view)
        return levels


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
