"""Decoder slot of the networks that raise a map of the ground plan into a volume, then ask queries (alocc.md §9.6)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.heads.mlp import by_cell
from gdfusion_ros.model.heads.query import QueryHead
from gdfusion_ros.model.interface import Prediction
from gdfusion_ros.model.layers.bev import BevEncoder, BevNeck
from gdfusion_ros.model.probe import Pass


class RaisedDecoder(nn.Module):
    """Residual stages over the map; then a convolution gives each voxel of a cell its channels, which queries see."""

    def __init__(
        self, encoder: BevEncoder, neck: BevNeck, raise_up: nn.Conv2d, head: QueryHead, inner: tuple[int, int, int]
    ) -> None:
        """``inner`` voxels lie along y, x, z in a cell; ``raise_up`` gives each of their channels for all of them."""
        super().__init__()
        self.encoder, self.neck, self.raise_up, self.head = encoder, neck, raise_up, head
        self._inner, self._voxels = inner, math.prod(inner)

    def encode(self, view: Tensor, run: Pass) -> Tensor:
        """What is raised, of the fused map (1, C, Y, X)."""
        with run.probe.stage('encoder'), run.learned():
            encoded: Tensor = self.neck(self.encoder(view))
        run.probe.record('bev_encoded', encoded)
        return encoded

    def forward(self, encoded: Tensor, run: Pass) -> Prediction:
        """Class and scores of every voxel."""
        with run.probe.stage('head'), run.learned():
            return self.head.chosen(self.logits(encoded), (*encoded.shape[2:], 1), run.probe, self._inner)

    def logits(self, encoded: Tensor) -> Tensor:
        """(cells, voxels, outputs), the voxels of a cell in the order y, x, z.

        A query's product with what the convolution gives is a convolution, too, of fewer channels: nothing lies between
        both, so they are one. Its channels are in the order of the voxels of a column.
        """
        conv, queries = self.raise_up, self.head.voxel_queries()
        weight = torch.einsum('qc,czk->zqk', queries, conv.weight.reshape(-1, self._voxels, conv.weight[0].numel()))
        bias = torch.einsum('qc,cz->zq', queries, conv.get_parameter('bias').view(-1, self._voxels))
        kernel = weight.reshape(-1, *conv.weight.shape[1:]).contiguous(memory_format=torch.channels_last)
        logits = F.conv2d(encoded, kernel, bias.flatten(), padding=conv.padding)
        return logits.movedim(1, -1).reshape(-1, self._voxels, self.head.outputs)

    def classify_labelled(self, encoded: Tensor, labels: Tensor, ignore: int, run: Pass) -> tuple[Tensor, Tensor]:
        """Scores (n, K), channel 0 unused, and labels (n,) of the labelled voxels; see ``SingleScaleDecoder``."""
        within = by_cell(labels, self._inner).flatten()
        labelled = (within != ignore).nonzero()[:, 0]
        with run.learned():
            return self.logits(encoded).flatten(0, 1).index_select(0, labelled), within[labelled]

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space the likely class: what its query sees is more than nothing everywhere."""
        self.raise_up.weight.mul_(0.1)
        nn.init.ones_(self.raise_up.get_parameter('bias'))
        self.head.favour_free(bias)
