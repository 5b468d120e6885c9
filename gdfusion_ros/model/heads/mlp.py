"""Occupancy head: volume -> class scores of every voxel (bevdetocc_gf.md §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.interface import Prediction, by_voxel
from gdfusion_ros.model.layers.pointwise import PointwiseLinear
from gdfusion_ros.model.layers.volume import by_chunks, rows
from gdfusion_ros.model.ops.argmax import argmax
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.weights.keys import Table


class OccupancyHead(nn.Module):
    """A 3x3x3 or 3x3 convolution, then a two-layer classifier per cell of what it is given, a volume or columns.

    A cell is a voxel of the volume or a whole column. Each classifies the ``inner`` voxels of the predicted grid in it.
    """

    def __init__(
        self,
        conv: type[nn.Conv2d | nn.Conv3d],
        channels: int,
        hidden: int,
        outputs: int,
        inner: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        """``outputs`` counts the classes and the unused slot 0 before them; ``inner`` voxels lie along y, x, z."""
        super().__init__()
        self.inner, self.outputs = inner, outputs
        self._columns = conv is nn.Conv2d
        self.conv = conv(channels, channels, 3, padding=1)
        self.classifier = nn.Sequential(
            PointwiseLinear(channels, hidden), nn.Softplus(), PointwiseLinear(hidden, outputs * math.prod(inner))
        )

    def features(self, volume: Tensor) -> Tensor:
        """(1, C, Y, X, Z) or (1, C, Y, X) -> (cells, C): what each cell is classified by."""
        return rows(F.relu(self.conv(volume), inplace=True))

    def classify(self, cells: Tensor) -> Tensor:
        """(n, C) features -> (n, voxels, outputs) logits of the voxels within, in the order y, x, z."""
        # Columns are few, and what they give is too large to be copied.
        scores = self.classifier(cells) if self._columns else by_chunks(self.classifier, cells)
        return scores.view(len(cells), math.prod(self.inner), self.outputs)

    def within(self, labels: Tensor) -> Tensor:
        """(Y', X', Z') -> (cells, voxels): the labels of the voxels within, in the same order."""
        return by_cell(labels, self.inner)

    def predict(self, volume: Tensor, probe: Probe = BLIND) -> Prediction:
        """Scores and the class id of every voxel of (1, C, Y, X, Z) or (1, C, Y, X); the unused slot is left out."""
        outputs = self.classify(self.features(volume)).float()
        size = (*volume.shape[2:], 1)[:3]  # cells of columns count as one along z
        labels, scores = by_voxel(in_order(argmax(outputs), size, self.inner)), in_order(outputs, size, self.inner)
        probe.record('scores', scores)
        return Prediction(labels.transpose(0, 1), scores[..., 1:])

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """The classifier after the convolution."""
        return [(self.conv, self.classifier[0])]

    @torch.no_grad()
    def favour_free(self, bias: float) -> None:
        """Make free space, the last class, the likely one, whatever the weights."""
        self.classifier.get_parameter('2.bias').view(-1, self.outputs)[:, -1] = bias


def by_cell(labels: Tensor, inner: tuple[int, int, int]) -> Tensor:
    """(Y', X', Z') -> (cells, voxels): the labels of the dy x dx x dz voxels within each cell, in the order y, x, z."""
    (dy, dx, dz), (y, x, z) = inner, labels.shape
    cells = labels.view(y // dy, dy, x // dx, dx, z // dz, dz).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(-1, math.prod(inner))


def in_order(voxels: Tensor, size: Sequence[int], inner: tuple[int, int, int]) -> Tensor:
    """(cells, voxels, …) -> a view (Y, dy, X, dx, Z, dz, …); ``size`` is (Y, X, Z)."""
    return voxels.view(*size, *inner, *voxels.shape[2:]).movedim((3, 4), (1, 3))


HEAD: Table = {'conv.': 'final_conv.conv.', 'classifier.': 'predicter.'}
