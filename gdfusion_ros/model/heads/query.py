"""Query head: one learned mask a class over the volume's features (alocc.md §7, 8)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gdfusion_ros.model.heads.mlp import in_order
from gdfusion_ros.model.interface import Prediction, by_voxel
from gdfusion_ros.model.layers.pointwise import linear
from gdfusion_ros.model.layers.volume import rows
from gdfusion_ros.model.ops.argmax import argmax
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.weights.keys import Table


def embedding(channels: int, out_channels: int) -> nn.Sequential:
    """Three linear layers with ReLU between them."""
    return nn.Sequential(
        nn.Linear(channels, channels),
        nn.ReLU(),
        nn.Linear(channels, channels),
        nn.ReLU(),
        nn.Linear(channels, out_channels),
    )


class QueryHead(nn.Module):
    """A query a class, embedded; a voxel's logit is the product of its feature with the query.

    A second embedding, of the features that are lifted, serves training alone.
    """

    def __init__(self, channels: int, outputs: int, context_channels: int = 0, first: int = 1, free: int = -1) -> None:
        """Queries for the features of every voxel.

        Args:
            channels: of the features.
            outputs: the classes and the unused slot 0 before them.
            context_channels: of the features that are lifted, where they are taught, too.
            first: of the outputs that a voxel may be given.
            free: the output of free space.
        """
        super().__init__()
        self.queries = nn.Embedding(outputs, channels)
        self.norm = nn.LayerNorm(channels)
        self.embed = embedding(channels, channels)
        self.embed_context = embedding(channels, context_channels) if context_channels else None
        self.outputs, self._first, self._free = outputs, first, free

    def voxel_queries(self) -> Tensor:
        """(outputs, C)."""
        queries: Tensor = self.embed(self.norm(self.queries.weight))
        return queries

    def context_queries(self) -> Tensor:
        """(outputs, C) for the features that are lifted.

        Raises:
            TypeError: the head has none.
        """
        if self.embed_context is None:
            raise TypeError('this head has no queries for the features that are lifted')
        queries: Tensor = self.embed_context(self.norm(self.queries.weight))
        return queries

    def features(self, volume: Tensor) -> Tensor:
        """(1, C, Y, X, Z) -> (voxels, C): what each voxel is classified by."""
        return rows(volume)

    def classify(self, voxels: Tensor) -> Tensor:
        """(n, C) features -> (n, 1, outputs) logits."""
        return linear(voxels, self.voxel_queries())[:, None]

    def within(self, labels: Tensor) -> Tensor:
        """(Y, X, Z) -> (voxels, 1): the labels in the same order."""
        return labels.reshape(-1, 1)

    def predict(self, volume: Tensor, probe: Probe = BLIND) -> Prediction:
        """Logits and the class id of every voxel of (1, C, Y, X, Z); the unused slot is left out.

        The class is chosen among sigmoids, not logits: from about 16.6 on they are 1, and of equals the first wins
        [QUIRK].
        """
        return self.chosen(self.classify(self.features(volume)), volume.shape[2:], probe)

    def chosen(
        self, logits: Tensor, size: Sequence[int], probe: Probe, inner: tuple[int, int, int] = (1, 1, 1)
    ) -> Prediction:
        """Of (cells, voxels, outputs) logits; ``size`` (Y, X, Z) of the cells, ``inner`` voxels in each."""
        outputs = logits.float()
        labels = by_voxel(in_order(argmax(outputs.sigmoid(), self._first), size, inner)) + (self._first - 1)
        scores = in_order(outputs, size, inner)
        probe.record('scores', scores)
        return Prediction(labels.transpose(0, 1), scores[..., 1:])

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space the likely class: its query alone gains in every channel.

        The others lose, or their sigmoids would be 1 as well, and of equals the first wins.
        """
        for parameter in self.embed[-1].parameters():
            parameter.mul_(0.1)
        hidden = self.embed[:-1](self.norm(self.queries.weight))
        alone = torch.linalg.lstsq(hidden, torch.eye(self.outputs)[self._free, :, None], driver='gelsd').solution
        self.embed[-1].get_parameter('weight').add_(bias / hidden.shape[1] * alone.t())


QUERY_HEAD: Table = {'queries.': 'query_feat.', 'norm.': 'post_norm.', 'embed.': 'mask_embed.'}
CONTEXT_QUERIES: Table = {'embed_context.': 'mask_embed2.'}
"""Of the second embedding, where there is one."""
