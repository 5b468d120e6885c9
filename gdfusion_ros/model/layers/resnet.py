"""ResNet (bevdetocc_gf.md §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.layers.fusing import FusibleSequential, folded


class Bottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 with the stride in the 3x3 convolution."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        """``width`` is the inner channel count; the block gives ``4 * width`` channels."""
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3: nn.Module = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = FusibleSequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 4 width, h / stride, w / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)

    def fuse(self) -> None:
        """Fold the three normalisations."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1), nn.Identity()
        self.conv2, self.bn2 = folded(self.conv2, self.bn2), nn.Identity()
        self.conv3, self.bn3 = folded(self.conv3, self.bn3), nn.Identity()

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """The three, one after the other."""
        return [(self.conv1, self.conv2), (self.conv2, self.conv3)]


class ImageFeatures(NamedTuple):
    """Features of N images: ``stereo`` at 1/4 of the image size, ``middle`` and ``deep`` of the last two stages."""

    stereo: Tensor
    middle: Tensor
    deep: Tensor


class BasicBlock(ResidualBlock2d):
    """The residual block of shallow ResNets, whose shortcut is normalised."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        """The block gives ``width`` channels."""
        super().__init__(in_channels, width, stride, shortcut=0)
        if stride != 1 or in_channels != width:
            self.downsample = FusibleSequential(
                nn.Conv2d(in_channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )


class ResNet(nn.Module):
    """A ResNet without the classifier, key by key as torchvision names it.

    Bottlenecks of widths 64, 128, 256, 512 and 3, 4, 6, 3 blocks make ResNet-50.
    """

    def __init__(self, block: type[Bottleneck | BasicBlock], widths: Sequence[int], blocks: Sequence[int]) -> None:
        """Inner channels and number of blocks, one a stage; every stage but the first halves the size."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(widths[0])
        self.channels = [width * block.expansion for width in widths]
        self._stages = [f'layer{stage + 1}' for stage in range(len(widths))]
        inputs = [widths[0], *self.channels]
        for stage, (name, width, count) in enumerate(zip(self._stages, widths, blocks, strict=True)):
            first = block(inputs[stage], width, 1 if stage == 0 else 2)
            others = (block(inputs[stage + 1], width, 1) for _ in range(count - 1))
            self.add_module(name, nn.Sequential(first, *others))

    def forward(self, images: Tensor) -> ImageFeatures:
        """(N, 3, H, W) normalised images -> features with the ``channels`` of the first and of the last two stages."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        levels = [F.max_pool2d(x, 3, 2, 1)]
        for name in self._stages:
            levels.append(self.get_submodule(name)(levels[-1]))
        return ImageFeatures(levels[1], levels[-2], levels[-1])

    def fuse(self) -> None:
        """Fold the stem's normalisation."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1), nn.Identity()
