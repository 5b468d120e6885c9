"""GSD-Occ's head: what stands where and what it is are predicted apart, in a view and in the volume (gsdocc.md §4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.interface import Prediction
from gdfusion_ros.model.layers.bev import BevEncoder, BevNeck
from gdfusion_ros.model.layers.fusing import FusibleSequential
from gdfusion_ros.model.layers.large_kernel import LARGE_KERNEL, LargeKernelBlock
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.ops.argmax import argmax
from gdfusion_ros.model.probe import BLIND, Pass, Probe
from gdfusion_ros.model.temporal.flattened import ViewAndVolume
from gdfusion_ros.model.weights.keys import Table


class Raising(nn.Module):
    """A view raised into a volume: features of each column times a gate of each of its voxels."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, heights: int) -> None:
        """Channels of the view, within both branches, and of the volume, and its number of voxels along z."""
        super().__init__()
        self.geometry = _branch(in_channels, hidden, heights)
        self.semantics = _branch(in_channels, hidden, out_channels)

    def forward(self, view: Tensor, volume: Tensor) -> Tensor:
        """(1, in, Y, X) raised, added to the volume (1, out, Y, X, Z)."""
        gate = self.geometry(view).sigmoid().permute(0, 2, 3, 1).contiguous()[:, None]
        return torch.addcmul(volume, self.semantics(view)[..., None], gate)


def _branch(in_channels: int, hidden: int, out_channels: int) -> FusibleSequential:
    return FusibleSequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 3, padding=1, bias=False),
    )


class DecoupledHead(nn.Module):
    """Voxels half as large as the lifted ones, from a view of what is remembered and the volume of what is seen."""

    def __init__(self, view_channels: int, lifted_channels: int, heights: int, classes: int) -> None:
        """``view_channels`` of both views; ``lifted_channels`` and ``heights`` of the lifted volume."""
        super().__init__()
        hidden = view_channels // 2
        self.view_up = FusibleSequential(
            nn.ConvTranspose2d(view_channels, hidden, 3, 2, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 2, bias=False),
        )
        self.view = Raising(hidden, hidden, hidden, 2 * heights)
        self.history = Raising(view_channels, hidden, lifted_channels, heights)
        self.block = LargeKernelBlock(lifted_channels)
        self.volume_up = FusibleSequential(
            nn.ConvTranspose3d(lifted_channels, hidden, 3, 1, 1),
            nn.BatchNorm3d(hidden),
            nn.ReLU(inplace=True),
            nn.ConvTranspose3d(hidden, hidden, 2, 2),
            nn.BatchNorm3d(hidden),
            nn.ReLU(inplace=True),
        )
        self.conv = FusibleSequential(
            nn.Conv3d(hidden, hidden // 2, 3, padding=1, bias=False), nn.BatchNorm3d(hidden // 2), nn.ReLU(inplace=True)
        )
        self.classifier = nn.Conv3d(hidden // 2, classes, 1, bias=False)

    def forward(self, encoded: Tensor, history: Tensor, lifted: Tensor) -> Tensor:
        """The volume of voxels half as large, (1, C / 2, 2 Y, 2 X, 2 Z).

        Args:
            encoded: (1, C, Y, X) the history, encoded.
            history: (1, C, Y, X) the view with what is remembered.
            lifted: (1, C', Y, X, Z) what is seen now.
        """
        volume = self.volume_up(self.block(self.history(history, lifted)))
        raised: Tensor = self.view(self.view_up(encoded), volume)
        return raised

    def features(self, volume: Tensor) -> Tensor:
        """(1, C / 2, Y, X, Z) -> (voxels, C / 4): what each voxel is classified by."""
        return rows(self.conv(volume))

    def classify(self, voxels: Tensor) -> Tensor:
        """(n, C / 4) features -> (n, classes) scores."""
        return F.linear(voxels, self.classifier.weight.flatten(1))

    def predict(self, volume: Tensor, probe: Probe = BLIND) -> Prediction:
        """Scores and the class id of every voxel."""
        y, x, z = volume.shape[2:]
        scores = self.classify(self.features(volume)).float()
        probe.record('scores', scores)
        labels = argmax(scores[:, None], first=0).view(y, x, z)
        return Prediction(labels.transpose(0, 1), scores.view(y, 1, x, 1, z, 1, -1))


class DecoupledDecoder(nn.Module):
    """The decoder slot: the view is encoded, the head takes it together with the volume."""

    def __init__(self, encoder: BevEncoder, neck: BevNeck, head: DecoupledHead) -> None:
        """The neck gives views of the encoder's input size."""
        super().__init__()
        self.encoder, self.neck, self.head = encoder, neck, head

    def encode(self, seen: ViewAndVolume, run: Pass) -> Tensor:
        """What the classifier sees, (1, C, Y, X, Z) of the predicted grid."""
        with run.probe.stage('encoder'), run.learned():
            encoded = self.neck(self.encoder(seen.view))
            volume: Tensor = self.head(encoded, seen.view, seen.volume)
        run.probe.record('bev_encoded', encoded)
        return volume

    def forward(self, volume: Tensor, run: Pass) -> Prediction:
        """Class and scores of every voxel."""
        with run.probe.stage('head'), run.learned():
            return self.head.predict(volume, run.probe)

    def classify_labelled(self, volume: Tensor, labels: Tensor, ignore: int, run: Pass) -> tuple[Tensor, Tensor]:
        """Scores (n, classes) and labels (n,) of the voxels that have a label.

        Args:
            volume: as ``encode`` gives it.
            labels: (Y, X, Z) classes of the predicted grid.
            ignore: the label of a voxel that nothing is known of.
        """
        labelled = (labels.flatten() != ignore).nonzero()[:, 0]
        with run.learned():
            scores = self.head.classify(self.head.features(volume).index_select(0, labelled))
        return scores, labels.flatten()[labelled]

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space, the last class, the likely one: the classifier has no bias, but its inputs are positive."""
        weight = self.head.classifier.weight
        weight[-1] = bias / weight.shape[1]


DECOUPLED_HEAD: Table = {
    'view_up.': 'deblock.',
    'view.geometry.': 'geo_occ_conv.',
    'view.semantics.': 'semantic_occ_conv.',
    'history.geometry.': 'recover_geo_occ_conv.',
    'history.semantics.': 'recover_semantic_occ_conv.',
    **{f'block.{ours}': f'unirep_3dconv_layer.{published}' for ours, published in LARGE_KERNEL.items()},
    'volume_up.': 'up0.',
    'conv.': 'occ_pred_conv.',
    'classifier.': 'occ_pred_conv.3.',
}
