"""Decoder slot: an encoder over the volume or its columns, and the classifier (bevdetocc_gf.md §8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gdfusion_ros.model.heads.mlp import OccupancyHead
from gdfusion_ros.model.heads.multiscale import MultiscaleHead
from gdfusion_ros.model.heads.query import QueryHead
from gdfusion_ros.model.interface import Prediction
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.layers.volume_pyramid import ProjectedEncoder, VolumePyramid
from gdfusion_ros.model.probe import Pass


class SingleScaleDecoder(nn.Module):
    """Residual stages, their levels fused at the finest, and a classifier of every cell."""

    def __init__(self, encoder: nn.Module, neck: nn.Module, head: OccupancyHead | QueryHead) -> None:
        """All three are of volumes, or all of columns; ``encoder`` gives levels, ``neck`` makes one of them."""
        super().__init__()
        self.encoder, self.neck, self.head = encoder, neck, head

    def encode(self, volume: Tensor, run: Pass) -> Tensor:
        """What the classifier sees of the fused volume (1, C, Y, X, Z)."""
        with run.probe.stage('encoder'), run.learned():
            encoded: Tensor = self.neck(self.encoder(volume))
        run.probe.record('bev_encoded', encoded)
        return encoded

    def forward(self, encoded: Tensor, run: Pass) -> Prediction:
        """Class and scores of every voxel."""
        with run.probe.stage('head'), run.learned():
            return self.head.predict(encoded, run.probe)

    def classify_labelled(self, encoded: Tensor, labels: Tensor, ignore: int, run: Pass) -> tuple[Tensor, Tensor]:
        """Scores of the voxels in all cells in which something is labelled, and those voxels' labels.

        Args:
            encoded: as ``encode`` gives it.
            labels: (Y, X, Z) classes of the predicted grid.
            ignore: the label of a voxel that nothing is known of.

        Returns:
            (n, K) scores, channel 0 unused, and (n,) labels, ``ignore`` among them.
        """
        within = self.head.within(labels)
        labelled = (within != ignore).any(1).nonzero()[:, 0]
        with run.learned():
            scores = self.head.classify(self.head.features(encoded).index_select(0, labelled)).flatten(0, 1)
        return scores, within[labelled].flatten()

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space, the last class, the likely one, whatever the weights."""
        self.head.favour_free(bias)


class MultiscaleDecoder(nn.Module):
    """Residual stages, a pyramid of their levels, and a head that sees all of them (fbocc.md §5, §6, §7)."""

    def __init__(self, encoder: ProjectedEncoder, neck: VolumePyramid, head: MultiscaleHead) -> None:
        """The head's refined grid is that of the classes."""
        super().__init__()
        self.encoder, self.neck, self.head = encoder, neck, head

    def encode(self, volume: Tensor, run: Pass) -> list[Tensor]:
        """The levels of the pyramid, finest first, from the fused volume (1, C, Y, X, Z)."""
        with run.probe.stage('encoder'), run.learned():
            levels: list[Tensor] = self.neck(self.encoder(volume))
        run.probe.record('bev_encoded', levels[0])
        return levels

    def forward(self, levels: list[Tensor], run: Pass) -> Prediction:
        """Class and scores of every voxel."""
        with run.probe.stage('head'), run.learned():
            return self.head.predict(levels, run.probe)

    def classify_labelled(self, levels: list[Tensor], labels: Tensor, ignore: int, run: Pass) -> tuple[Tensor, Tensor]:
        """Scores (n, K) and labels (n,) of the voxels that are labelled; see ``SingleScaleDecoder``."""
        with run.learned():
            scores = rows(self.head.classifier(self.head.features(levels)))
        labelled = (labels != ignore).flatten().nonzero()[:, 0]
        return scores.index_select(0, labelled), labels.flatten()[labelled]

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space, the last class, the likely one, whatever the weights; what is classified is not negative."""
        weight = self.head.classifier.weight
        weight[-1] = bias / weight.shape[1]
