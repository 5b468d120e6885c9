"""BEVDetOcc-GF: Algorithm 1 of the paper, in its order (spec section 9)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.camera import Memo, camera_points, sent
from gdfusion_ros.model.columns import ColumnEncoder, ColumnNeck
from gdfusion_ros.model.depth import DepthNet, DepthPrediction, ground_bins
from gdfusion_ros.model.frame import Frame, Prediction
from gdfusion_ros.model.fusion.alignment import index_transform
from gdfusion_ros.model.fusion.geometry import GeometryFusion
from gdfusion_ros.model.fusion.motion import MotionFusion
from gdfusion_ros.model.fusion.scene import SceneFusion
from gdfusion_ros.model.fusion.state import (
    GeometryState,
    MotionState,
    RecurrentState,
    SceneState,
    StereoState,
    VoxelState,
)
from gdfusion_ros.model.fusion.voxel import VoxelFusion
from gdfusion_ros.model.grid import VoxelGrid
from gdfusion_ros.model.head import OccupancyHead
from gdfusion_ros.model.image import BasicBlock, Bottleneck, FeaturePyramid, ResNet
from gdfusion_ros.model.lift import Lift
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.stereo import StereoGeometry, cost_volume
from gdfusion_ros.model.volume import VolumeEncoder, VolumeNeck
from gdfusion_ros.settings import CUES


@dataclass(frozen=True)
class DepthBins:
    """Evenly spaced depths: the first [m], the step [m], how many. Each value is the sample's depth itself."""

    first: float
    step: float
    count: int

    def values(self) -> Tensor:
        """(count,) float32 [m]."""
        return self.first + self.step * torch.arange(self.count, dtype=torch.float32)


@dataclass(frozen=True)
class OccupancyConfig:
    """Everything that makes one network differ from another of this family.

    Attributes:
        name: of the network in the zoo.
        image_size: (H, W) of the network's input [px].
        depth: the depth bins.
        grid: the volume in the ego frame.
        refinement: how many voxels of the predicted grid lie along an edge of the volume's voxels.
        lift_parts: how many parts with sums of their own the lift has along the same edge.
        ground: whether the depth network is told where each ray meets level ground.
        columns: whether the volume is encoded and classified by columns, its heights being channels.
        cameras: how many the network was trained with.
        bottleneck: whether the image backbone's blocks are bottlenecks.
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        channels: of the volume.
        image_channels: of the image features and the depth network's trunk.
        pyramid_channels: of each branch of the depth network's pyramid.
        encoder_channels, encoder_blocks, encoder_strides: of the volume's or the columns' encoder, one a stage.
        classifier_channels: hidden channels of the head's classifier.
        classes: of the label set; the head has one output more, an unused slot before them.
        label_set: name of the classes' label set.
        cues: the temporal cues that are switched on, as in table 5 of the paper.
    """

    name: str
    image_size: tuple[int, int]
    depth: DepthBins
    grid: VoxelGrid
    refinement: int = 1
    lift_parts: int = 1
    ground: bool = False
    columns: bool = False
    cameras: int = 6
    bottleneck: bool = True
    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    channels: int = 32
    image_channels: int = 256
    pyramid_channels: int = 96
    encoder_channels: tuple[int, ...] = (32, 64, 128)
    encoder_blocks: tuple[int, ...] = (1, 2, 4)
    encoder_strides: tuple[int, ...] = (1, 2, 2)
    classifier_channels: int = 64
    classes: int = 18
    label_set: str = 'occ3d_nuscenes'
    cues: tuple[str, ...] = CUES

    @property
    def predicted_grid(self) -> VoxelGrid:
        """The grid of the classes: the volume's, refined."""
        return self.grid.refined(self.refinement)

    @property
    def feature_stride(self) -> int:
        """Pixels of the input image along an edge of a cell of the image features: the last stage but one's."""
        return 1 << len(self.backbone_widths)

    def require_cameras(self, names: Sequence[str]) -> None:
        """Refuse another number of cameras than the network was trained with.

        Raises:
            GdfusionError: names those that there are.
        """
        if len(names) != self.cameras:
            raise GdfusionError(f"model {self.name} needs {self.cameras} cameras, but setting 'cameras' names "
                                f'{len(names)}: {", ".join(names)}')

    def __post_init__(self) -> None:
        """Refuse cues that cannot work."""
        unknown = set(self.cues) - set(CUES)
        if unknown:
            raise GdfusionError(f"unknown cue '{unknown.pop()}'; there are {', '.join(CUES)}")
        if 'motion' in self.cues and 'voxel' not in self.cues:
            raise GdfusionError("the cue 'motion' steers the warp of the cue 'voxel' and cannot be on without it")


class OccupancyNetwork(nn.Module):
    """``network(frame, state) -> (prediction, state)``: one camera set in, its grid and the memory out.

    A pure function of its arguments and weights: the state that goes in is not changed. What follows from the
    calibration is remembered on the weights' device, so a network that has run is not moved, nor given other weights:
    make a new one.
    """

    def __init__(self, config: OccupancyConfig) -> None:
        """All modules exist whatever the cues, so that every configuration has the same weights."""
        super().__init__()
        self.config = config
        self.title = config.name
        self.autocast = False
        depths = config.depth.values()
        self.backbone = ResNet(Bottleneck if config.bottleneck else BasicBlock, config.backbone_widths,
                               config.backbone_blocks)
        self.neck = FeaturePyramid(self.backbone.channels[-2], self.backbone.channels[-1], config.image_channels)
        self.depth_net = DepthNet(config.image_channels, config.image_channels, config.channels, len(depths),
                                  config.pyramid_channels, config.feature_stride, ground=config.ground)
        self.geometry_fusion = GeometryFusion(config.image_size, depths)
        self.lift = Lift(config.grid, config.channels, config.lift_parts)
        self.pre_process = VolumeEncoder(config.channels, (config.channels,), (1,), (1,))
        self.motion_fusion = MotionFusion(config.channels)
        self.voxel_fusion = VoxelFusion(config.channels)
        self.scene_fusion = SceneFusion(config.channels)
        self.encoder, self.encoder_neck, self.head = _behind_the_fusion(config)
        self._points: Memo[tuple[Tensor, Tensor]] = Memo()
        self._ground: Memo[Tensor] = Memo()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.conv.weight.device

    def forward(self, frame: Frame, state: RecurrentState | None = None,
                probe: Probe = BLIND) -> tuple[Prediction, RecurrentState]:
        """See one camera set.

        Args:
            frame: the set; batch size 1.
            state: what the last frame of the sequence gave; None at its start.
            probe: looks on.
        """
        volume, state = self.encode(frame, state, probe)
        with probe.stage('head'), self.casting():
            prediction = self.head.predict(volume)
        probe.see('scores', prediction.scores)
        return prediction, state

    def encode(self, frame: Frame, state: RecurrentState | None, probe: Probe = BLIND) -> tuple[Tensor, RecurrentState]:
        """The part of ``forward`` before the voxels are classified: what the head classifies, and the memory."""
        geometry, context, images = self.look(frame, state, probe)
        volume = self._lift(frame, geometry, context, probe)
        volume, motion, voxel = self._fuse_voxels(frame, volume, state, probe)
        volume, scene = self._fuse_scene(volume, state, probe)
        with probe.stage('encoder'), self.casting():
            volume = self.encoder_neck(self.encoder(volume))
        probe.see('bev_encoded', volume)
        return volume, dataclasses.replace(images, motion=motion, voxel=voxel, scene=scene)

    def look(self, frame: Frame, state: RecurrentState | None,
             probe: Probe = BLIND) -> tuple[Tensor, Tensor, RecurrentState]:
        """The part of ``forward`` before anything is lifted.

        Returns:
            The depth distribution (N, D, h, w) and the features (N, C, h, w) of every image cell, and what is to be
            remembered of the images.
        """
        features, stereo = self._encode_images(frame, probe)
        depth = self._see_depth(frame, features, stereo, state, probe)
        geometry, geometry_state = self._fuse_geometry(frame, depth, state, probe)
        seen = StereoState(stereo, frame.post_rotation, frame.post_translation)
        return geometry.float(), depth.context.float(), RecurrentState(seen, frame.visible, geometry_state)

    def casting(self) -> torch.autocast:
        """For learned layers: with ``autocast``, half precision on CUDA, bfloat16 on a CPU, where torch deems it fit.

        Poses, points and memory keep full precision: rotated with eight bits, the ground would be metres off.
        """
        return torch.autocast('cuda' if self.device.type == 'cuda' else 'cpu', enabled=self.autocast)

    def _encode_images(self, frame: Frame, probe: Probe) -> tuple[Tensor, Tensor]:
        with probe.stage('backbone'), self.casting():
            images = frame.images.to(self.device, memory_format=torch.channels_last, non_blocking=True)
            levels = self.backbone(images)
            features = self.neck(levels)
        probe.see('img_feat', features)
        probe.see('stereo_feat', levels.stereo)
        return features, levels.stereo.float()

    def _see_depth(self, frame: Frame, features: Tensor, stereo: Tensor, state: RecurrentState | None,
                   probe: Probe) -> DepthPrediction:
        with probe.stage('cost volume'), torch.no_grad():  # matching is not trained (spec section 2.1)
            stereo = stereo.detach()
            previous, chain = _previous_view(frame, stereo, state)
            cost = cost_volume(stereo, previous.features, StereoGeometry(
                self.config.image_size, self.config.depth.values(), frame.intrinsics, frame.post_rotation,
                frame.post_translation, chain, previous.post_rotation, previous.post_translation))
        with probe.stage('depth'):
            ground = self._ground_bins(frame, features.shape) if self.config.ground else None
            with self.casting():
                depth: DepthPrediction = self.depth_net(features, cost, frame, ground)
        probe.see('stereo_ref_feat', previous.features)
        probe.see('cost_volume_softmax', cost)
        probe.see('depth_pred', depth.probability)
        probe.see('context', depth.context)
        return depth

    def _camera_points(self, frame: Frame, size: torch.Size) -> tuple[Tensor, Tensor]:
        """On the CPU, and on the network's device."""
        def compute() -> tuple[Tensor, Tensor]:
            points = camera_points(self.config.image_size, (size[-2], size[-1]), self.config.depth.values(),
                                   frame.post_rotation, frame.post_translation)
            return points, points.to(self.device, non_blocking=True)

        return self._points((frame.post_rotation, frame.post_translation), compute)

    def _ground_bins(self, frame: Frame, size: torch.Size) -> Tensor:
        calibration = frame.intrinsics, frame.post_rotation, frame.post_translation, frame.ego_from_camera
        cells = size[-2], size[-1]
        return self._ground(calibration, lambda: ground_bins(
            frame, self.config.image_size, cells, self.config.depth.values()).to(self.device, non_blocking=True))

    def _fuse_geometry(self, frame: Frame, depth: DepthPrediction, state: RecurrentState | None,
                       probe: Probe) -> tuple[Tensor, GeometryState | None]:
        if 'geometry' not in self.config.cues:
            return depth.probability, None
        with probe.stage('geometry'):
            history = grid = None
            if state is not None and state.geometry is not None:
                history = state.geometry
                _, points = self._camera_points(frame, depth.logits.shape)
                grid = self.geometry_fusion.history_grid(points, frame, history, state.visible)
            with self.casting():
                geometry, fused = self.geometry_fusion(depth.logits, depth.probability, frame, grid, history)
        probe.see('geometry_fused_logits', fused.logits)
        probe.see('geometry', geometry)
        return geometry, fused

    def _lift(self, frame: Frame, geometry: Tensor, context: Tensor, probe: Probe) -> Tensor:
        with probe.stage('lift'):
            points, _ = self._camera_points(frame, geometry.shape)
            voxels = self.lift.voxels(points, frame)
            with self.casting():
                lifted = self.lift(geometry, context, voxels)
        with probe.stage('pre-process'), self.casting():
            volume: Tensor = self.pre_process(lifted)[-1]
        probe.see('lifted', lifted)
        probe.see('pre_process', volume)
        return volume.float()

    def _fuse_voxels(self, frame: Frame, volume: Tensor, state: RecurrentState | None,
                     probe: Probe) -> tuple[Tensor, MotionState | None, VoxelState | None]:
        if 'voxel' not in self.config.cues:
            return volume, None, None
        history = None if state is None else state.voxel
        offsets: MotionState | None = None
        alignment = torch.eye(4)
        with probe.stage('motion'):
            if history is not None:
                alignment = index_transform(self.config.grid, frame.previous_ego_from_ego, frame.bda, history.bda)
            if 'motion' in self.config.cues:
                last = None if state is None else state.motion
                _, offsets = self.motion_fusion(volume, alignment, last)
        with probe.stage('voxel'):
            moved = None if offsets is None else offsets.offsets
            volume, voxel = self.voxel_fusion(volume, moved, alignment, frame.bda, history)
        if moved is not None:
            probe.see('motion_fused', moved)
        probe.see('voxel_out', volume)
        probe.see('voxel_state', voxel.volume)
        return volume, offsets, voxel

    def _fuse_scene(self, volume: Tensor, state: RecurrentState | None,
                    probe: Probe) -> tuple[Tensor, SceneState | None]:
        if 'scene' not in self.config.cues:
            return volume, None
        with probe.stage('scene'):
            volume, scene = self.scene_fusion(volume, None if state is None else state.scene)
        probe.see('scene_out', volume)
        probe.see('scene_dW', scene.weight)
        probe.see('scene_db', scene.bias)
        return volume, scene


def _behind_the_fusion(config: OccupancyConfig) -> tuple[nn.Module, nn.Module, OccupancyHead]:
    """Encoder, neck and head."""
    stages = config.encoder_channels, config.encoder_blocks, config.encoder_strides
    r, outputs = config.refinement, config.classes + 1
    if not config.columns:
        return (VolumeEncoder(config.channels, *stages), VolumeNeck(config.encoder_channels, config.channels),
                OccupancyHead(nn.Conv3d, config.channels, config.classifier_channels, outputs, (r, r, r)))
    width, heights = config.encoder_channels[0], config.grid.shape[2]
    return (ColumnEncoder(heights * config.channels, *stages), ColumnNeck(config.encoder_channels, width),
            OccupancyHead(nn.Conv2d, width, config.classifier_channels, outputs, (r, r, r * heights)))


def _previous_view(frame: Frame, stereo: Tensor, state: RecurrentState | None) -> tuple[StereoState, Tensor]:
    """The previous images' features, and the way from each camera to its previous place.

    A camera that is not remembered sees itself from where it is (spec section 9: the start of a sequence).
    """
    itself = StereoState(stereo, frame.post_rotation, frame.post_translation)
    here = torch.eye(4).expand_as(frame.previous_camera_from_camera)
    if state is None:
        return itself, here
    if bool(state.visible.all()):
        return state.stereo, frame.previous_camera_from_camera
    seen = state.visible.view(-1, 1, 1)
    mixed = StereoState(torch.where(sent(seen[..., None], stereo), state.stereo.features, stereo),
                        torch.where(seen, state.stereo.post_rotation, itself.post_rotation),
                        torch.where(seen[..., 0], state.stereo.post_translation, itself.post_translation))
    return mixed, torch.where(seen, frame.previous_camera_from_camera, here)


def with_cues(config: OccupancyConfig, cues: tuple[str, ...]) -> OccupancyConfig:
    """The same network with other cues switched on.

    Raises:
        GdfusionError: an unknown cue, or motion without voxel.
    """
    return dataclasses.replace(config, cues=cues)
