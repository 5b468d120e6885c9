"""Image encoder: ResNet-50 and a two-level feature pyramid (spec section 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 with the stride in the 3x3 convolution."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        """``width`` is the inner channel count; the block gives ``4 * width`` channels."""
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 4 width, h / stride, w / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ImageFeatures(NamedTuple):
    """Features of N images: ``stereo`` at 1/4, ``middle`` at 1/16 and ``deep`` at 1/32 of the image size."""

    stereo: Tensor
    middle: Tensor
    deep: Tensor


class ResNet50(nn.Module):
    """ResNet-50 without the classifier, key by key as torchvision names it."""

    def __init__(self) -> None:
        """The blocks of the four stages: 3, 4, 6, 3."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(64, 64, 3, 1)
        self.layer2 = self._stage(256, 128, 4, 2)
        self.layer3 = self._stage(512, 256, 6, 2)
        self.layer4 = self._stage(1024, 512, 3, 2)

    @staticmethod
    def _stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        inner = width * Bottleneck.expansion
        return nn.Sequential(Bottleneck(in_channels, width, stride),
                             *(Bottleneck(inner, width, 1) for _ in range(blocks - 1)))

    def forward(self, images: Tensor) -> ImageFeatures:
        """(N, 3, H, W) normalised images -> features of 256, 1024 and 2048 channels."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        stereo = self.layer1(F.max_pool2d(x, 3, 2, 1))
        middle = self.layer3(self.layer2(stereo))
        return ImageFeatures(stereo, middle, self.layer4(middle))


class FeaturePyramid(nn.Module):
    """Sum of both levels' 1x1 projections at the finer one, then a 3x3 convolution."""

    def __init__(self, middle_channels: int = 1024, deep_channels: int = 2048, out_channels: int = 256) -> None:
        """Channels of the two input levels and of the output."""
        super().__init__()
        self.lateral_middle = nn.Conv2d(middle_channels, out_channels, 1)
        self.lateral_deep = nn.Conv2d(deep_channels, out_channels, 1)
        self.output = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, features: ImageFeatures) -> Tensor:
        """(N, 256, H / 16, W / 16)."""
        middle = self.lateral_middle(features.middle)
        deep = self.lateral_deep(features.deep)
        middle += F.interpolate(deep, size=middle.shape[-2:], mode='nearest')
        pyramid: Tensor = self.output(middle)
        return pyramid
