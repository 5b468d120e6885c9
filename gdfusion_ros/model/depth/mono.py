"""Depth from one frame (fbocc.md §1, gsdocc.md §1)."""

from __future__ import annotations

from gdfusion_ros.model.depth.fused import DepthGeometry, FusedDepth
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import CellDepth
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.temporal.geometry import GeometryState


class MonoDepth(FusedDepth):
    """The depth slot of networks that match no images. What it remembers is H_g, or nothing where nothing is fused."""

    def forward(
        self, images: EncodedImages, geometry: DepthGeometry, state: GeometryState | None, run: Pass
    ) -> tuple[CellDepth, GeometryState | None]:
        """Depth distribution and features of every image cell, and what is to be remembered of their depth."""
        return self.fused(images, None, geometry, state, run)
