"""Head of FB-Occ: every voxel of the refined grid weighs the levels of the pyramid (fbocc.md §7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import in_graph_form
from gdfusion_ros.model.interface import Prediction
from gdfusion_ros.model.layers import volume as volumes
from gdfusion_ros.model.layers.fusing import FusibleSequential, folded
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.layers.volume_pyramid import resized
from gdfusion_ros.model.ops.argmax import argmax
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.weights.keys import Table


class MultiscaleHead(nn.Module):
    """The finest level, refined, tells how much each level counts in a voxel; their mixture is classified.

    The classifier's first layer is linear, so each level goes through it before it is upsampled: the same numbers with
    half the channels on the refined grid. The weights sum up to one, so the folded layer's bias counts once.
    """

    def __init__(self, channels: int, width: int, hidden: int, outputs: int, levels: int) -> None:
        """``channels`` of the levels, ``outputs`` counts the classes and the unused slot 0 before them."""
        super().__init__()
        self.refine = FusibleSequential(
            nn.ConvTranspose3d(channels, width, 2, 2, bias=False), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
        )
        self.levels = nn.ModuleList(
            FusibleSequential(
                nn.Conv3d(channels, width, 3, padding=1, bias=False), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
            )
            for _ in range(levels)
        )
        self.weigh = FusibleSequential(
            nn.Conv3d(width, hidden, 1, bias=False),
            nn.BatchNorm3d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv3d(hidden, levels + 1, 1, bias=False),
        )
        self.mix = nn.Conv3d(width, hidden, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm3d(hidden)
        self.classifier = nn.Conv3d(hidden, outputs, 1, bias=False)

    def fuse(self) -> None:
        """Fold the normalisation of the mixture."""
        self.mix, self.norm = folded(self.mix, self.norm), nn.Identity()

    def features(self, levels: Sequence[Tensor]) -> Tensor:
        """(1, C, Y, X, Z) levels, finest first -> (1, hidden, 2 Y, 2 X, 2 Z): what each voxel is classified by."""
        return self._blended(levels[0], self._upsampled(levels))

    def predict(self, levels: Sequence[Tensor], probe: Probe = BLIND) -> Prediction:
        """Scores and the class id of every voxel; slab by slab, so that what lies between stays in a CPU's cache."""
        upsampled = self._upsampled(levels)
        height = slab_height(levels[0])
        slabs = zip(levels[0].split(height, 2), *(level.split(2 * height, 2) for level in upsampled), strict=True)
        parts = [self.classifier(self._blended(finest, others)) for finest, *others in slabs]
        size = upsampled[0].shape[2:]
        outputs = rows(torch.cat(parts, 2)).float()
        labels = argmax(outputs[:, None])
        scores = outputs.view(size[0], 1, size[1], 1, size[2], 1, -1)
        probe.record('scores', scores)
        return Prediction(labels.view(size).transpose(0, 1), scores[..., 1:])

    def _upsampled(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Every level's share of the first layer of the classifier, at the size of the refined grid."""
        size = [2 * count for count in levels[0].shape[2:]]
        return [resized(self.mix(conv(level)), size) for conv, level in zip(self.levels, levels, strict=True)]

    def _blended(self, finest: Tensor, upsampled: Sequence[Tensor]) -> Tensor:
        refined = self.refine(finest)
        weights = self.weigh(refined).softmax(1).split(1, 1)
        blended = weights[0] * self.mix(refined)
        for weight, level in zip(weights[1:], upsampled, strict=True):
            blended = torch.addcmul(blended, weight, level)
        return F.relu(self.norm(blended), inplace=True)


def slab_height(volume: Tensor) -> int:
    """How many rows of y are worked on together: on a CPU those of some ``CHUNK`` voxels of the refined grid."""
    if volume.device.type != 'cpu' or torch.is_grad_enabled() or in_graph_form():
        return volume.shape[2]
    return max(1, volumes.CHUNK // (8 * volume.shape[3] * volume.shape[4]))


MULTISCALE_HEAD: Table = {
    'refine.': 'deblock.',
    'levels.': 'occ_convs.',
    'weigh.': 'voxel_soft_weights.',
    'mix.': 'occ_pred_conv.0.',
    'norm.': 'occ_pred_conv.1.',
    'classifier.': 'occ_pred_conv.3.',
}
