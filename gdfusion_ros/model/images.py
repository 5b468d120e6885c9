"""Image slot: features of every image (bevdetocc_gf.md §2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gdfusion_ros.model.layers.fpn import PYRAMID, FeaturePyramid
from gdfusion_ros.model.layers.resnet import ResNet
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.weights.keys import Mount

IMAGES = Mount('images.backbone', 'img_backbone'), Mount('images.neck', 'img_neck', PYRAMID)
"""Published places of the slot's blocks."""


class EncodedImages(NamedTuple):
    """What is seen of N cameras.

    Attributes:
        cells: (N, C, h, w) features of the images' cells.
        stereo: (N, C', H / 4, W / 4) finer ones to be matched; None where nothing is.
        lidar_depth: (N, H, W) as in Frame; None without LiDAR.
    """

    cells: Tensor
    stereo: Tensor | None
    lidar_depth: Tensor | None = None


class ImageEncoder(nn.Module):
    """A ResNet, its last two stages in a pyramid; in stereo, the first stage's features are matched."""

    def __init__(self, backbone: ResNet, channels: int, *, stereo: bool = True) -> None:
        """``channels`` of the cells' features."""
        super().__init__()
        self.backbone, self._stereo = backbone, stereo
        self.neck = FeaturePyramid(backbone.channels[-2], backbone.channels[-1], channels)

    def forward(self, images: Tensor, run: Pass) -> EncodedImages:
        """(N, 3, H, W) normalised images, on any device -> features."""
        with run.probe.stage('backbone'), run.learned():
            images = images.to(run.device, memory_format=torch.channels_last, non_blocking=True)
            levels = self.backbone(images)
            features = self.neck(levels)
        run.probe.record('img_feat', features)
        run.probe.record('stereo_feat', levels.stereo)
        return EncodedImages(features, levels.stereo.float() if self._stereo else None)
