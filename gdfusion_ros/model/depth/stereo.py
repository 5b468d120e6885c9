"""Depth from two frames: a stereo cost volume, the depth network, the memory of geometry (bevdetocc_gf.md §2.1, §3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.depth.ground import ground_bins
from gdfusion_ros.model.depth.net import DepthNet, DepthPrediction, camera_vector
from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.camera import camera_points
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import Calibration, CellDepth
from gdfusion_ros.model.ops.cost_volume import cost_volume
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.temporal.geometry import GeometryFusion, GeometryState


@dataclass(frozen=True, eq=False)
class DepthGeometry:
    """What the depth slot needs of calibration and poses, on the network's device.

    Attributes:
        camera_vectors: (N, 27).
        frustum: (N, D, h, w, 3) as ``camera_points`` gives them.
        reprojection: into the previous images.
        ground: (N, D, h, w) as ``ground_bins`` gives it; None where the depth network is not told.
    """

    camera_vectors: Tensor
    frustum: Tensor
    reprojection: Reprojection
    ground: Tensor | None


@dataclass(frozen=True, eq=False)
class StereoState:
    """What is remembered of the images: their features (N, C, H / 4, W / 4), and H_g where that cue is on."""

    features: Tensor
    geometry: GeometryState | None


class StereoDepth(nn.Module):
    """The depth slot of the BEVDetOcc family."""

    def __init__(self, net: DepthNet, image_size: tuple[int, int], cells: tuple[int, int], bins: DepthBins, *,
                 remembers_geometry: bool, ground: bool = False) -> None:
        """``cells`` (h, w) of the features; ``ground``: whether ``net`` is told where each ray meets level ground.

        The fusion's weights exist whether or not the memory of geometry is switched on.
        """
        super().__init__()
        self.net = net
        self.fusion = GeometryFusion(image_size, bins.values())
        self._image_size, self._cells, self._bins = image_size, cells, bins
        self._remembers_geometry, self._ground = remembers_geometry, ground

    def geometry(self, calibration: Calibration, reprojection: Reprojection, cache: CalibrationCache) -> DepthGeometry:
        """What follows from the cameras' matrices."""
        device = self.fusion.depths.device
        frustum = cache(self._frustum, calibration.post_rotation, calibration.post_translation, device)
        return DepthGeometry(camera_vector(calibration).to(device, non_blocking=True), frustum, reprojection.to(device),
                             cache(self._ground_bins, calibration, device) if self._ground else None)

    def _frustum(self, post_rotation: Tensor, post_translation: Tensor, device: torch.device) -> Tensor:
        points = camera_points(self._image_size, self._cells, self._bins.values(), inverse(post_rotation),
                               post_translation)
        return points.to(device, non_blocking=True)

    def _ground_bins(self, calibration: Calibration, device: torch.device) -> Tensor:
        bins = ground_bins(calibration, self._image_size, self._cells, self._bins.values())
        return bins.to(device, non_blocking=True)

    def forward(self, images: EncodedImages, geometry: DepthGeometry, state: StereoState | None,
                run: Pass) -> tuple[CellDepth, StereoState]:
        """Depth distribution and features of every image cell, and what is to be remembered of the images."""
        seen = self._predict(images, geometry, state, run)
        distribution, fused = seen.probability, None
        if self._remembers_geometry:
            with run.probe.stage('geometry'), run.learned():
                distribution, fused = self.fusion(seen.logits, seen.probability, geometry.frustum,
                                                  geometry.reprojection, None if state is None else state.geometry)
            run.probe.record('geometry_fused_logits', fused.logits)
            run.probe.record('geometry', distribution)
        cells = CellDepth(distribution.float(), seen.context.float(), seen.probability,
                          None if fused is None else fused.logits)
        return cells, StereoState(images.stereo, fused)

    def _predict(self, images: EncodedImages, geometry: DepthGeometry, state: StereoState | None,
                 run: Pass) -> DepthPrediction:
        previous = images.stereo if state is None else state.features
        with run.probe.stage('cost volume'), torch.no_grad():  # matching is not trained (bevdetocc_gf.md §2.1)
            cost = cost_volume(images.stereo.detach(), previous.detach(), geometry.reprojection, self._image_size,
                               self.fusion.depths)
        with run.probe.stage('depth'), run.learned():
            seen: DepthPrediction = self.net(images.cells, cost, geometry.camera_vectors, geometry.ground)
        run.probe.record('stereo_ref_feat', previous)
        run.probe.record('cost_volume_softmax', cost)
        run.probe.record('depth_pred', seen.probability)
        run.probe.record('context', seen.context)
        return seen

    def camera_statistics(self) -> nn.BatchNorm1d:
        """The normalisation of the camera vectors, whose statistics are of rigs, not of images."""
        return self.net.bn

    def start_neutral(self, cue: str = 'geometry') -> None:
        """Let the fusion change little of what goes through it: at first both depths that are blended are the same."""
        del cue
        self.fusion.start_neutral()
        self.net.logits_head.load_state_dict(self.net.probability_head.state_dict())
