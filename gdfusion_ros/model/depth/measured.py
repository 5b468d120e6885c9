"""The depth slot that looks at what a LiDAR has measured (alocc.md §9.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdfusion_ros.model.depth.fused import DepthGeometry
from gdfusion_ros.model.depth.net import DepthPrediction
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.depth_bins import DepthBins, one_hot
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import Neighbours
from gdfusion_ros.model.temporal.geometry import GeometryFusion, GeometryState, mixed

NO_BIN = 255
"""Of a cell in which nothing is measured."""


def nearest_bins(depth: Tensor, patch: int, bins: DepthBins) -> Tensor:
    """(N, H, W) metres, 0 where none, -> (N, H / patch, W / patch) int64 bin of the nearest depth, NO_BIN where none.

    Bin k holds what lies between its depth and the next one's.
    """
    cells = depth.unfold(1, patch, patch).unfold(2, patch, patch).flatten(3)
    nearest = cells.masked_fill(cells == 0, torch.inf).amin(-1)
    place = (nearest - (bins.first - bins.step)) / bins.step
    return torch.where((place >= 1) & (place < bins.count + 1), place.trunc() - 1, NO_BIN).long()


class Measured(NamedTuple):
    """What a LiDAR says of the cells of N images.

    Attributes:
        bins: (N, D, h, w) 1 in the bin of the nearest depth, else 0.
        known: (N, 1, h, w) bool; where something is measured.
    """

    bins: Tensor
    known: Tensor

    @staticmethod
    def of(depth: Tensor, cells: Tensor, bins: DepthBins) -> Measured:
        """What the maps (N, H, W) say of the ``cells`` (N, D, h, w)."""
        found = nearest_bins(depth, depth.shape[1] // cells.shape[2], bins)
        return Measured(one_hot(found, bins.count), (found != NO_BIN)[:, None])

    def over(self, predicted: Tensor) -> Tensor:
        """(N, D, h, w) what is measured where something is, else what is predicted."""
        return torch.where(self.known, self.bins, predicted)


class MeasuredGeometryFusion(GeometryFusion):
    """Geometry fusion of which measured bins take part: in what is lifted now, and in what is remembered."""

    def with_measured(
        self,
        logits: Tensor,
        probability: Tensor,
        measured: Measured,
        frustum: Tensor,
        reprojection: Reprojection,
        state: GeometryState | None,
    ) -> tuple[Tensor, GeometryState]:
        """As ``forward``, but the measured bins stand for the logits in the state, and for ``probability`` in the end.

        The gates see what is predicted alone. Measured bins, 0 or 1, and logits are kept in one state as they are
        [QUIRK].
        """
        fused, remembered = logits, measured.over(logits)
        if state is not None:
            history, weight = self.history(logits, frustum, reprojection, state)
            fused, remembered = mixed(history, weight, logits), mixed(history, weight, remembered)
        softened, blend = self.blend(fused, probability)
        return blend * softened + (1 - blend) * measured.over(probability), GeometryState(remembered)


class MeasuredStereoDepth(StereoDepth):
    """The depth slot that looks at LiDAR depth where there is any; without it, it is StereoDepth."""

    fusion: MeasuredGeometryFusion
    fusion_type = MeasuredGeometryFusion

    def blended(
        self,
        images: EncodedImages,
        logits: Tensor,
        distribution: Tensor,
        geometry: DepthGeometry,
        state: GeometryState | None,
    ) -> tuple[Tensor, GeometryState]:
        """What is seen and measured now, fused with the history."""
        if images.lidar_depth is None:
            return super().blended(images, logits, distribution, geometry, state)
        measured = Measured.of(images.lidar_depth, logits, self._bins)
        return self.fusion.with_measured(logits, distribution, measured, geometry.frustum, geometry.reprojection, state)


class MeasuredBehindDepth(StereoDepth):
    """The same of networks that fuse no geometry: what is measured is what they look behind (alocc.md §9.5)."""

    def looked_behind(self, images: EncodedImages, seen: DepthPrediction) -> tuple[Tensor, Neighbours | None]:
        """What lies behind and beside what is measured, or predicted where nothing is."""
        if images.lidar_depth is not None:
            measured = Measured.of(images.lidar_depth, seen.probability, self._bins)
            seen = seen._replace(probability=measured.over(seen.probability))
        return super().looked_behind(images, seen)
