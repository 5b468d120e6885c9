"""Depth network: depth distribution and context features of every image cell (spec section 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.camera import Memo, pixel_grid, rays
from gdfusion_ros.model.frame import Frame

CAMERA_PARAMETERS = 27


def camera_vector(frame: Frame) -> Tensor:
    """(N, 27): focal lengths and principal point, image and BEV augmentation, and the pose of every camera."""
    k, r, t = frame.intrinsics, frame.post_rotation, frame.post_translation
    b = frame.bda.expand(len(k), 3, 3)
    parts = [k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2],
             r[:, 0, 0], r[:, 0, 1], t[:, 0], r[:, 1, 0], r[:, 1, 1], t[:, 1],
             b[:, 0, 0], b[:, 0, 1], b[:, 1, 0], b[:, 1, 1], b[:, 2, 2]]
    return torch.cat([torch.stack(parts, -1), frame.ego_from_camera[:, :3].flatten(1)], -1)


def ground_bins(frame: Frame, image_size: tuple[int, int], cells: tuple[int, int], depths: Tensor) -> Tensor:
    """Where each cell's ray meets level ground, the plane z = 0 of the ego frame.

    Args:
        frame: the cameras.
        image_size: (H, W) of the images [px].
        cells: (h, w) of the features.
        depths: (D,) of the evenly spaced depth bins [m].

    Returns:
        (N, D, h, w), split between the two nearest bins; 0 where the ground is met beyond them or not at all.
    """
    u, v = pixel_grid(image_size, cells)
    down = -rays(u, v, frame.intrinsics, frame.post_rotation, frame.post_translation, frame.ego_from_camera)[..., 2]
    height = frame.ego_from_camera[:, 2, 3].view(-1, 1, 1)
    met = torch.where(down > 0, height / down, torch.inf)
    return (1 - (met[:, None] - depths.view(-1, 1, 1)).abs() / (depths[1] - depths[0])).clamp(min=0)


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


class ResidualBlock2d(nn.Module):
    """Two 3x3 convolutions beside an identity, or a 1x1 convolution where the channels change."""

    def __init__(self, in_channels: int, channels: int) -> None:
        """Channels of the input and of the output."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h, w)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class DilatedConv(nn.Module):
    """One branch of the pyramid: dilated convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        """The padding equals the dilation, so the size is kept."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=dilation if kernel > 1 else 0,
                              dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h, w)."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: four dilations and the image's mean, mixed by a 1x1 convolution."""

    def __init__(self, channels: int, branch_channels: int) -> None:
        """``channels`` in and out, ``branch_channels`` of each branch."""
        super().__init__()
        self.branches = nn.ModuleList(
            DilatedConv(channels, branch_channels, kernel, dilation)
            for kernel, dilation in ((1, 1), (3, 6), (3, 12), (3, 18)))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, branch_channels, 1, bias=False),
                                    nn.BatchNorm2d(branch_channels), nn.ReLU())
        self.conv = nn.Conv2d(5 * branch_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        mean = self.pooled(x).expand(-1, -1, *x.shape[-2:])
        return F.relu(self.bn(self.conv(torch.cat([*(branch(x) for branch in self.branches), mean], 1))), inplace=True)


class DepthPrediction(NamedTuple):
    """What the depth network sees in N images.

    Attributes:
        probability: (N, D, h, w) softmax of the supervised head.
        logits: (N, D, h, w) of the second head, which enters the geometry fusion [DIFF 1].
        context: (N, C, h, w) features that are lifted.
    """

    probability: Tensor
    logits: Tensor
    context: Tensor


class DepthNet(nn.Module):
    """Depth and context from image features, the stereo cost volume and the camera's parameters.

    Where it is told the ``ground_bins``, it need not find out from examples which row of which camera sees how far.
    """

    def __init__(self, in_channels: int, channels: int, context_channels: int, bins: int, pyramid_channels: int,
                 stride: int = 16, *, ground: bool = False) -> None:
        """``channels`` is the width of the trunk, ``bins`` the number of depth bins, ``stride`` of the features."""
        super().__init__()
        self.bn = nn.BatchNorm1d(CAMERA_PARAMETERS)
        self.reduce = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.context_gate = CameraGate(channels)
        self.depth_gate = CameraGate(channels)
        self.context = nn.Conv2d(channels, context_channels, 1)
        self.cost_volume = nn.Sequential(nn.Conv2d(bins, bins, 3, 2, 1), nn.BatchNorm2d(bins),
                                         nn.Conv2d(bins, bins, 3, stride // 8, 1), nn.BatchNorm2d(bins))
        self.trunk = nn.Sequential(
            ResidualBlock2d(channels + (1 + ground) * bins, channels), ResidualBlock2d(channels, channels),
            ResidualBlock2d(channels, channels), SpatialPyramid(channels, pyramid_channels))
        self.probability_head = nn.Conv2d(channels, bins, 1)
        self.logits_head = nn.Conv2d(channels, bins, 1)
        self._gates: Memo[tuple[Tensor, Tensor]] = Memo()

    def gates(self, frame: Frame, device: torch.device) -> tuple[Tensor, Tensor]:
        """Context and depth gates (N, C, 1, 1); they depend on the calibration alone and are kept while it stays."""
        vector = camera_vector(frame)

        def compute() -> tuple[Tensor, Tensor]:
            normalised = self.bn(vector.to(device, non_blocking=True))
            return self.context_gate(normalised), self.depth_gate(normalised)

        return compute() if torch.is_grad_enabled() else self._gates((vector,), compute)

    def forward(self, features: Tensor, cost_volume: Tensor, frame: Frame,
                ground: Tensor | None = None) -> DepthPrediction:
        """(N, in, h, w) features, the (N, D, H / 4, W / 4) cost volume and the ground -> depth and context."""
        context_gate, depth_gate = self.gates(frame, features.device)
        features = self.reduce(features)
        context = self.context(features * context_gate)
        seen = [features * depth_gate, self.cost_volume(cost_volume), *([] if ground is None else [ground])]
        depth = self.trunk(torch.cat(seen, 1))
        return DepthPrediction(self.probability_head(depth).softmax(1), self.logits_head(depth), context)
