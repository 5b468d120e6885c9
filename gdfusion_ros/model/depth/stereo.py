"""Depth from two frames: a stereo cost volume beside what one frame shows (bevdetocc_gf.md §2.1, §3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gdfusion_ros.model.depth.fused import DepthGeometry, FusedDepth
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import CellDepth
from gdfusion_ros.model.ops.cost_volume import cost_volume
from gdfusion_ros.model.ops.fixed_point import FixedPoint
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.temporal.geometry import GeometryState


@dataclass(frozen=True, eq=False)
class StereoState:
    """What is remembered of the images: their features (N, C, H / 4, W / 4), and H_g where that cue is on."""

    features: FixedPoint
    geometry: GeometryState | None


class StereoDepth(FusedDepth):
    """The depth slot of networks that match their images with the previous ones."""

    def forward(
        self, images: EncodedImages, geometry: DepthGeometry, state: StereoState | None, run: Pass
    ) -> tuple[CellDepth, StereoState]:
        """Depth distribution and features of every image cell, and what is to be remembered of the images."""
        assert images.stereo is not None, 'the image slot gives what is matched'
        with run.probe.stage('cost volume'), torch.no_grad():  # matching is not trained (bevdetocc_gf.md §2.1)
            cost = self._cost(images.stereo.detach(), geometry, state, run)
        cells, fused = self.fused(images, cost, geometry, None if state is None else state.geometry, run)
        return cells, StereoState(FixedPoint.of(images.stereo), fused)

    def _cost(self, current: Tensor, geometry: DepthGeometry, state: StereoState | None, run: Pass) -> Tensor:
        """The cost volume; at a start the images are matched with themselves."""
        previous = current
        if state is not None:
            previous = state.features.features()
            run.read(state.features.codes)
        cost = cost_volume(current, previous, geometry.reprojection, self.image_size, self.depths)
        run.probe.record('stereo_ref_feat', previous)
        run.probe.record('cost_volume_softmax', cost)
        return cost
