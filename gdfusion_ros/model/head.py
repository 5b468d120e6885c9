"""Occupancy head: volume -> class scores of every voxel (spec section 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.frame import Prediction
from gdfusion_ros.model.volume import chunks, rows


class OccupancyHead(nn.Module):
    """A 3x3x3 convolution, then a two-layer classifier per voxel."""

    def __init__(self, channels: int, hidden: int, outputs: int) -> None:
        """``outputs`` counts the classes and the unused slot 0 before them."""
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, 3, padding=1)
        self.classifier = nn.Sequential(nn.Linear(channels, hidden), nn.Softplus(), nn.Linear(hidden, outputs))

    def forward(self, volume: Tensor) -> Tensor:
        """(1, C, Y, X, Z) -> logits (Y, X, Z, outputs)."""
        features = F.relu(self.conv(volume), inplace=True)
        scores = torch.cat([self.classifier(chunk) for chunk in chunks(rows(features))])
        return scores.view(*volume.shape[2:], -1)

    def predict(self, volume: Tensor) -> Prediction:
        """Logits and the class id of every voxel; (Y, X, Z) becomes (X, Y, Z) in the labels."""
        logits: Tensor = self(volume).float()
        scores = chunks(logits[..., 1:].flatten(0, 2))
        labels = torch.cat([chunk.argmax(-1).to(torch.uint8) for chunk in scores])
        return Prediction(labels.view(logits.shape[:3]).transpose(0, 1), logits)
