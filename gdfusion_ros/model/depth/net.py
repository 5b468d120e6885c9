"""Depth network: depth distribution and context features of every image cell (bevdetocc_gf.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.interface import Calibration
from gdfusion_ros.model.layers.blocks2d import SPATIAL_PYRAMID, ResidualBlock2d, SpatialPyramid
from gdfusion_ros.model.layers.fusing import FusibleSequential
from gdfusion_ros.model.weights.keys import Table

CAMERA_PARAMETERS = 27


def camera_vector(calibration: Calibration) -> Tensor:
    """(N, 27): focal lengths and principal point, image and BEV augmentation, and the pose of every camera."""
    k, r, t = calibration.intrinsics, calibration.post_rotation, calibration.post_translation
    b = calibration.bda.expand(len(k), 3, 3)
    parts = [
        k[:, 0, 0],
        k[:, 1, 1],
        k[:, 0, 2],
        k[:, 1, 2],
        r[:, 0, 0],
        r[:, 0, 1],
        t[:, 0],
        r[:, 1, 0],
        r[:, 1, 1],
        t[:, 1],
        b[:, 0, 0],
        b[:, 0, 1],
        b[:, 1, 0],
        b[:, 1, 1],
        b[:, 2, 2],
    ]
    return torch.cat([torch.stack(parts, -1), calibration.volume_from_camera[:, :3].flatten(1)], -1)


class CameraGate(nn.Module):
    """Channel gates from the camera vector: a two-layer perceptron, then squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        """``channels`` of the features that are gated."""
        super().__init__()
        self.fc1 = nn.Linear(CAMERA_PARAMETERS, channels)
        self.fc2 = nn.Linear(channels, channels)
        self.reduce = nn.Conv2d(channels, channels, 1)
        self.expand = nn.Conv2d(channels, channels, 1)

    def forward(self, vector: Tensor) -> Tensor:
        """(N, 27) normalised camera vector -> (N, C, 1, 1) gates in 0..1."""
        embedding = self.fc2(F.relu(self.fc1(vector)))[..., None, None]
        return torch.sigmoid(self.expand(F.relu(self.reduce(embedding))))


class DepthPrediction(NamedTuple):
    """What the depth network sees in N images.

    Attributes:
        probability: (N, D, h, w) softmax of the supervised head.
        logits: (N, D, h, w) of the second head, which enters the geometry fusion [DIFF 1]; None without one.
        context: (N, C, h, w) features that are lifted.
        gated: (N, C', h, w) features, gated by the camera for depth, before anything is matched.
        looked_at: (N, C'', h, w) all that the trunk looks at.
    """

    probability: Tensor
    logits: Tensor | None
    context: Tensor
    gated: Tensor
    looked_at: Tensor


@dataclass(frozen=True)
class DepthChannels:
    """Of the depth network: of the image features, its trunk, the features that are lifted, a branch of its pyramid."""

    inputs: int
    trunk: int
    context: int
    pyramid: int


class DepthNet(nn.Module):
    """Depth and context from image features, the camera's parameters and, in stereo, a cost volume.

    Where it is told the ``ground_bins``, it need not find out from examples which row of which camera sees how far.
    """

    def __init__(
        self,
        widths: DepthChannels,
        bins: int,
        stride: int = 16,
        *,
        stereo: bool = True,
        fused: bool = True,
        ground: bool = False,
    ) -> None:
        """``bins`` is the number of depth bins, ``stride`` that of the features.

        ``stereo``: whether it is shown a cost volume; ``fused``: whether it has a head for what geometry fusion fuses.
        """
        super().__init__()
        channels = widths.trunk
        self.bn = nn.BatchNorm1d(CAMERA_PARAMETERS)
        self.reduce = FusibleSequential(
            nn.Conv2d(widths.inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.context_gate = CameraGate(channels)
        self.depth_gate = CameraGate(channels)
        self.context = nn.Conv2d(channels, widths.context, 1)
        self.cost_volume = (
            FusibleSequential(
                nn.Conv2d(bins, bins, 3, 2, 1),
                nn.BatchNorm2d(bins),
                nn.Conv2d(bins, bins, 3, stride // 8, 1),
                nn.BatchNorm2d(bins),
            )
            if stereo
            else None
        )
        self.trunk = nn.Sequential(
            ResidualBlock2d(channels + (stereo + ground) * bins, channels),
            ResidualBlock2d(channels, channels),
            ResidualBlock2d(channels, channels),
            SpatialPyramid(channels, widths.pyramid),
        )
        self.probability_head = nn.Conv2d(channels, bins, 1)
        self.logits_head = nn.Conv2d(channels, bins, 1) if fused else None

    def forward(
        self, features: Tensor, cost_volume: Tensor | None, camera_vectors: Tensor, ground: Tensor | None = None
    ) -> DepthPrediction:
        """Depth and context of every cell.

        Args:
            features: (N, in, h, w).
            cost_volume: (N, D, H / 4, W / 4), in stereo.
            camera_vectors: (N, 27).
            ground: (N, D, h, w) as ``ground_bins`` gives it, where the network is told.
        """
        cameras = self.bn(camera_vectors)
        features = self.reduce(features)
        context = self.context(features * self.context_gate(cameras))
        gated = features * self.depth_gate(cameras)
        looked_at = torch.cat(
            [
                gated,
                *([] if self.cost_volume is None else [self.cost_volume(cost_volume)]),
                *([] if ground is None else [ground]),
            ],
            1,
        )
        depth = self.trunk(looked_at)
        return DepthPrediction(
            self.probability_head(depth).softmax(1),
            None if self.logits_head is None else self.logits_head(depth),
            context,
            gated,
            looked_at,
        )


DEPTH_NET: Table = {
    'bn.': 'bn.',
    'reduce.': 'reduce_conv.',
    **{
        f'{which}_gate.{ours}': f'{which}_{published}'
        for which in ('depth', 'context')
        for ours, published in (('fc', 'mlp.fc'), ('reduce.', 'se.conv_reduce.'), ('expand.', 'se.conv_expand.'))
    },
    'context.': 'context_conv.',
    'trunk.': 'depth_conv.',
    **{f'trunk.3.{ours}': f'depth_conv.3.{published}' for ours, published in SPATIAL_PYRAMID.items()},
}
"""What all depth networks have; the tables of what they differ in are added."""

COST_VOLUME: Table = {'cost_volume.': 'cost_volumn_net.'}
ONE_HEAD: Table = {'probability_head.': 'depth_conv.4.'}
TWO_HEADS: Table = {'probability_head.': 'depth_head.', 'logits_head.': 'depth_head2.'}
