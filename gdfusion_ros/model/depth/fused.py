"""What all depth slots have: the depth network, and the memory of geometry if any (bevdetocc_gf.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gdfusion_ros.model.depth.ground import ground_bins
from gdfusion_ros.model.depth.net import DepthNet, DepthPrediction, camera_vector
from gdfusion_ros.model.depth.occlusion import NoOcclusion
from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.camera import frustum_points
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.images import EncodedImages
from gdfusion_ros.model.interface import Calibration, CellDepth, Neighbours
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.runtime.upload import upload
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


class FusedDepth(nn.Module):
    """The depth network and, where it has logits to fuse, the fusion of geometry; the slots say what it is shown."""

    depths: Tensor
    fusion_type: ClassVar[type[GeometryFusion]] = GeometryFusion

    def __init__(
        self,
        net: DepthNet,
        image_size: tuple[int, int],
        cells: tuple[int, int],
        bins: DepthBins,
        *,
        occlusion: nn.Module | None = None,
        remembers_geometry: bool = False,
        ground: bool = False,
    ) -> None:
        """``cells`` (h, w) of the features; ``ground``: whether ``net`` is told where each ray meets level ground.

        ``occlusion`` says what lies behind and beside what is seen; nothing does unless it is given.

        The weights of the fusion exist where ``net`` has logits to fuse, whether or not the memory of geometry is
        switched on.
        """
        super().__init__()
        self.net, self.occlusion = net, occlusion or NoOcclusion()
        self.fusion = None if net.logits_head is None else self.fusion_type(image_size, bins.values())
        self.register_buffer('depths', bins.values(), persistent=False)
        self.image_size, self._cells, self._bins = image_size, cells, bins
        self._remembers_geometry, self._ground = remembers_geometry, ground

    def geometry(self, calibration: Calibration, reprojection: Reprojection, cache: CalibrationCache) -> DepthGeometry:
        """What follows from the cameras' matrices."""
        device = self.depths.device
        frustum = cache(self._frustum, calibration.post_rotation, calibration.post_translation, device, cache)
        return DepthGeometry(
            camera_vector(calibration).to(device, non_blocking=True),
            frustum,
            reprojection.to(device),
            cache(self._ground_bins, calibration, device) if self._ground else None,
        )

    def _frustum(
        self, post_rotation: Tensor, post_translation: Tensor, device: torch.device, cache: CalibrationCache
    ) -> Tensor:
        points = cache(frustum_points, self.image_size, self._cells, self._bins, post_rotation, post_translation)
        return upload(points, device)

    def _ground_bins(self, calibration: Calibration, device: torch.device) -> Tensor:
        bins = ground_bins(calibration, self.image_size, self._cells, self._bins.values())
        return upload(bins, device)

    def fused(
        self,
        images: EncodedImages,
        cost: Tensor | None,
        geometry: DepthGeometry,
        state: GeometryState | None,
        run: Pass,
    ) -> tuple[CellDepth, GeometryState | None]:
        """The depth that is lifted, and H_g; without a memory of geometry, what is seen as it is.

        Args:
            images: their features.
            cost: (N, D, H / 4, W / 4) volume of a match, if any.
            geometry: of the frame.
            state: H_g of the last frame; None at a start.
            run: of the frame.
        """
        with run.probe.stage('depth'), run.learned():
            seen: DepthPrediction = self.net(images.cells, cost, geometry.camera_vectors, geometry.ground)
            distribution, neighbours = self.looked_behind(images, seen)
        run.probe.record('depth_pred', seen.probability)
        run.probe.record('context', seen.context)
        fused: GeometryState | None = None
        if seen.logits is not None and self._remembers_geometry:
            with run.probe.stage('geometry'), run.learned():
                distribution, fused = self.blended(images, seen.logits, distribution, geometry, state)
            run.probe.record('geometry_fused_logits', fused.logits)
        run.probe.record('geometry', distribution)
        cells = CellDepth(
            distribution.float(),
            seen.context.float(),
            seen.probability,
            None if fused is None else fused.logits,
            neighbours,
        )
        return cells, fused

    def looked_behind(self, images: EncodedImages, seen: DepthPrediction) -> tuple[Tensor, Neighbours | None]:
        """(N, D, h, w) what the bins see and what lies behind it, and beside it."""
        del images
        found: tuple[Tensor, Neighbours | None] = self.occlusion(seen)
        return found

    def blended(
        self,
        images: EncodedImages,
        logits: Tensor,
        distribution: Tensor,
        geometry: DepthGeometry,
        state: GeometryState | None,
    ) -> tuple[Tensor, GeometryState]:
        """What is seen now, (N, D, h, w) logits and distribution, fused with the history."""
        del images
        assert self.fusion is not None
        fused: tuple[Tensor, GeometryState] = self.fusion(
            logits, distribution, geometry.frustum, geometry.reprojection, state
        )
        return fused

    @contextmanager
    def told(self, mix: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """While it lasts, what is lifted, and looked behind, is ``mix`` of what is predicted, (N, D, h, w) -> the same.

        For training, as long as depth is not predicted well; the losses go on seeing what is predicted.
        """

        def mixed(_: nn.Module, seen: tuple[DepthPrediction]) -> tuple[DepthPrediction]:
            return (seen[0]._replace(probability=mix(seen[0].probability)),)

        hook = self.occlusion.register_forward_pre_hook(mixed)
        try:
            yield
        finally:
            hook.remove()

    def camera_statistics(self) -> nn.BatchNorm1d:
        """The normalisation of the camera vectors, whose statistics are of rigs, not of images."""
        return self.net.bn

    def start_neutral(self, cue: str = 'geometry') -> None:
        """Let the fusion change little of what goes through it: at first both depths that are blended are the same.

        Raises:
            KeyError: nothing fuses geometry.
        """
        if self.fusion is None or self.net.logits_head is None:
            raise KeyError(cue)
        self.fusion.start_neutral()
        self.net.logits_head.load_state_dict(self.net.probability_head.state_dict())
