"""Two-level feature pyramid (bevdetocc_gf.md §2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.resnet import ImageFeatures
from gdfusion_ros.model.weights.keys import Table


class FeaturePyramid(nn.Module):
    """Sum of both levels' 1x1 projections at the finer one, then a 3x3 convolution."""

    def __init__(self, middle_channels: int, deep_channels: int, out_channels: int) -> None:
        """Channels of the two input levels and of the output."""
        super().__init__()
        self.lateral_middle = nn.Conv2d(middle_channels, out_channels, 1)
        self.lateral_deep = nn.Conv2d(deep_channels, out_channels, 1)
        self.output = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, features: ImageFeatures) -> Tensor:
        """(N, out, h, w) at the size of the middle level."""
        middle = self.lateral_middle(features.middle)
        deep = self.lateral_deep(features.deep)
        middle += F.interpolate(deep, size=middle.shape[-2:], mode='nearest')
        pyramid: Tensor = self.output(middle)
        return pyramid


PYRAMID: Table = {
    'lateral_middle.': 'lateral_convs.0.conv.',
    'lateral_deep.': 'lateral_convs.1.conv.',
    'output.': 'fpn_convs.0.conv.',
}
