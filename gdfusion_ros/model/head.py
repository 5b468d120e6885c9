"""Occupancy head: volume -> class scores of every voxel (spec section 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.frame import Prediction
from gdfusion_ros.model.volume import chunks, rows


class OccupancyHead(nn.Module):
    """A 3x3x3 convolution, then a two-layer classifier per voxel.

    Where the grid of the classes is finer than the volume, each voxel classifies the ``refinement`` cubed voxels in it.
    """

    def __init__(self, channels: int, hidden: int, outputs: int, refinement: int = 1) -> None:
        """``outputs`` counts the classes and the unused slot 0 before them."""
        super().__init__()
        self.refinement, self.outputs = refinement, outputs
        self.conv = nn.Conv3d(channels, channels, 3, padding=1)
        self.classifier = nn.Sequential(nn.Linear(channels, hidden), nn.Softplus(),
                                        nn.Linear(hidden, outputs * refinement ** 3))

    def forward(self, volume: Tensor) -> Tensor:
        """(1, C, Y, X, Z) -> logits (r Y, r X, r Z, outputs) with the refinement r."""
        r, (y, x, z) = self.refinement, volume.shape[2:]
        fine = self.classify(self.features(volume)).view(y, x, z, r, r, r, -1).permute(0, 3, 1, 4, 2, 5, 6)
        return fine.reshape(r * y, r * x, r * z, -1)

    def features(self, volume: Tensor) -> Tensor:
        """(1, C, Y, X, Z) -> (Y X Z, C): what each voxel is classified by."""
        return rows(F.relu(self.conv(volume), inplace=True))

    def classify(self, voxels: Tensor) -> Tensor:
        """(n, C) features -> (n, r^3, outputs) logits of the voxels within, in the order y, x, z."""
        scores = torch.cat([self.classifier(chunk) for chunk in chunks(voxels)])
        return scores.view(len(voxels), self.refinement ** 3, self.outputs)

    def within(self, labels: Tensor) -> Tensor:
        """(r Y, r X, r Z) -> (Y X Z, r^3): the labels of the voxels within, in the same order."""
        r, (y, x, z) = self.refinement, labels.shape
        return labels.view(y // r, r, x // r, r, z // r, r).permute(0, 2, 4, 1, 3, 5).reshape(-1, r ** 3)

    def predict(self, volume: Tensor) -> Prediction:
        """Logits and the class id of every voxel; (Y, X, Z) becomes (X, Y, Z) in the labels."""
        logits: Tensor = self(volume).float()
        return Prediction(logits[..., 1:].argmax(-1).to(torch.uint8).transpose(0, 1), logits)
