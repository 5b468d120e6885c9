"""ALOcc with the four cues: occlusion in the lift and a query a class, over volumes or over maps (alocc.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import nn

from gdfusion_ros.model.depth.measured import MeasuredStereoDepth
from gdfusion_ros.model.depth.mono import MonoDepth
from gdfusion_ros.model.depth.net import COST_VOLUME, DepthChannels, DepthNet
from gdfusion_ros.model.depth.occlusion import INTER_RAY, INTRA_RAY, IntraInterRay, IntraRay
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoder import SingleScaleDecoder
from gdfusion_ros.model.heads.query import CONTEXT_QUERIES, QUERY_HEAD, QueryHead
from gdfusion_ros.model.heads.raised import RaisedDecoder
from gdfusion_ros.model.images import ImageEncoder
from gdfusion_ros.model.layers.bev import BevEncoder, BevNeck
from gdfusion_ros.model.layers.fpn import PYRAMID
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.layers.volume import VolumeEncoder, VolumeNeck
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, halving
from gdfusion_ros.model.networks.memories import FUSIONS, Memory
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.view.lift import BareLiftView
from gdfusion_ros.model.view.soft_filling import FlatSoftFilling, InterRayView, SoftFilling
from gdfusion_ros.model.weights.keys import Mount

REACH_BEHIND = 22
"""How many depth bins behind a surface the networks look."""


@dataclass(frozen=True)
class Outputs:
    """Which outputs of the head are what.

    Attributes:
        first: that a voxel may be given; 2 where no voxel is of class 0.
        free: for free space; the last one but where free space is class 0.
    """

    first: int = 1
    free: int = -1


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the released networks for nuScenes.

    Attributes:
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        image_channels: of the image features and the depth network's trunk.
        pyramid_channels: of each branch of the depth network's pyramid.
        encoder_channels, encoder_blocks: of the volume's encoder, one a stage; every stage but the first halves it.
        voxel_channels: of what the queries see of each voxel.
        map_channels: of maps before they are raised into a volume.
        context_queries: whether the lifted features are taught by queries, too.
        outputs: of the head.
    """

    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    image_channels: int = 256
    pyramid_channels: int = 96
    encoder_channels: tuple[int, ...] = (32, 64, 128, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 4, 4)
    voxel_channels: int = 48
    map_channels: int = 256
    context_queries: bool = True
    outputs: Outputs = Outputs()


SIZES_2D = Sizes(encoder_channels=(64, 128, 256, 512))
MINI_SIZES = Sizes(encoder_channels=(32, 64, 128), encoder_blocks=(1, 2, 4), voxel_channels=32, map_channels=128)
OPENOCCUPANCY_SIZES = replace(SIZES_2D, outputs=Outputs(free=1))
SURROUNDOCC_SIZES = Sizes(outputs=Outputs(first=2))
WAYMO_SIZES = Sizes(encoder_channels=(64, 128, 256, 512), voxel_channels=64, context_queries=False)

ALOCC_3D_GF = replace(BEVDETOCC_GF, name='alocc_3d_gf', any_cameras=False)
"""How far its points beside each ray reach depends on the number of cameras (alocc.md §4) [QUIRK]."""

ALOCC_3D_GF_DEPTH = replace(ALOCC_3D_GF, name='alocc_3d_gf_depth', lidar_depth=True)
"""The same weights, shown LiDAR depth."""

ALOCC_3D_GF_SURROUNDOCC = replace(
    ALOCC_3D_GF, name='alocc_3d_gf_surroundocc',
    image_size=(896, 1600),
    depth=DepthBins(first=1.0, step=0.5, count=118),
    grid=VoxelGrid(lower=(-50.0, -50.0, -5.0), voxel_size=(0.5, 0.5, 0.5), shape=(200, 200, 16)),
    frame='lidar', label_set='surroundocc_nuscenes')
"""Its memory is warped by the vehicle's motion as it is, though the volume's axes are the LiDAR's [QUIRK]."""

ALOCC_3D_GF_WAYMO = replace(
    ALOCC_3D_GF, name='alocc_3d_gf_waymo', image_size=(640, 960), cameras=5, context_channels=64,
    depth=DepthBins(first=1.0, step=0.5, count=114), label_set='waymo', classes=16)

ALOCC_2D_GF = replace(
    ALOCC_3D_GF, name='alocc_2d_gf', context_channels=80, heights=16,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 6.4), shape=(200, 200, 1)))

ALOCC_2D_GF_OPENOCCUPANCY = replace(
    ALOCC_2D_GF, name='alocc_2d_gf_openoccupancy', image_size=(896, 1600),
    depth=ALOCC_3D_GF_SURROUNDOCC.depth, frame='lidar', label_set='openoccupancy_nuscenes', classes=17,
    grid=VoxelGrid(lower=(-51.2, -51.2, -5.0), voxel_size=(0.4, 0.4, 8.0), shape=(256, 256, 1)), refinement=2,
    heights=20)
"""Of no published configuration. The paper has the size of its images; that its map has cells of 0.4 m, each classified
as 2 x 2 x 40 voxels, that its depth bins are those for SurroundOcc and all layers those for Occ3D are assumptions."""

ALOCC_MINI_GF = replace(
    ALOCC_2D_GF, name='alocc_mini_gf', any_cameras=True, context_channels=40,
    depth=DepthBins(first=1.0, step=1.0, count=44))

ALOCC_3D = replace(ALOCC_3D_GF, name='alocc_3d', cues=())
ALOCC_2D = replace(ALOCC_2D_GF, name='alocc_2d', cues=())
ALOCC_MINI = replace(ALOCC_MINI_GF, name='alocc_mini', cues=())
"""The baselines, which keep their last 16 volumes or maps in a queue (alocc.md §9.5, §9.6)."""

DOWNSAMPLE = 'depth_net.{}_conv.0.downsample.{}'
TIES = {DOWNSAMPLE.format('depth', kind): DOWNSAMPLE.format('occ', kind) for kind in ('weight', 'bias')}
"""Both trunks of the depth network have one shortcut (alocc.md §2)."""

IMAGES = Mount('images.backbone', 'img_backbone'), Mount('images.neck', 'img_neck', PYRAMID)
DECODER = (
    Mount('decoder.encoder', 'img_bev_encoder_backbone'),
    Mount('decoder.neck', 'img_bev_encoder_neck'),
    Mount('decoder.head', 'alocc_head', QUERY_HEAD),
)
LIFT, PRE_PROCESS = Mount('view.lift', 'view_transformer'), Mount('view.pre_process', 'pre_process')
BEHIND = Mount('depth.occlusion', 'depth_net', INTRA_RAY)
BEHIND_AND_BESIDE = Mount('depth.occlusion', 'depth_net', {**INTRA_RAY, **INTER_RAY})
RAISED = Mount('decoder.raise_up', 'final_conv')
CONTEXT = Mount('decoder.head', 'alocc_head', CONTEXT_QUERIES)


def alocc_3d(spec: NetworkSpec, sizes: Sizes | None = None, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """The network of that spec; the sizes are the released ones for nuScenes unless others are given."""
    sizes = sizes or Sizes()
    width, bins = spec.context_channels, spec.depth
    context = [CONTEXT] if sizes.context_queries else []
    return OccupancyNetwork(
        spec,
        images=_images(sizes),
        depth=_stereo_depth(spec, sizes, memory),
        view=InterRayView(SoftFilling(spec.grid), VolumeEncoder(width, (width,), (1,), (1,)), spec.image_size,
                          spec.cells, bins),
        memory=memory.slot(spec, nn.Conv3d),
        decoder=SingleScaleDecoder(
            VolumeEncoder(width, sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))),
            VolumeNeck(sizes.encoder_channels, sizes.voxel_channels),
            QueryHead(sizes.voxel_channels, spec.classes + 1, width if context else 0, sizes.outputs.first)),
        mounts=(*IMAGES, memory.depth_mount(COST_VOLUME), BEHIND_AND_BESIDE, *memory.mounts, LIFT, PRE_PROCESS,
                *DECODER, *context), ties=TIES)


def alocc_2d(spec: NetworkSpec, sizes: Sizes = SIZES_2D, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """The same over maps of the ground plan, which are raised into a volume at the end (alocc.md §9.6, §9.7)."""
    width = spec.context_channels
    return OccupancyNetwork(
        spec,
        images=_images(sizes),
        depth=_stereo_depth(spec, sizes, memory),
        view=InterRayView(FlatSoftFilling(spec.grid), BevEncoder(width, (width,), (1,), (1,)), spec.image_size,
                          spec.cells, spec.depth),
        memory=memory.slot(spec, nn.Conv2d),
        decoder=_map_decoder(spec, sizes),
        mounts=(*IMAGES, memory.depth_mount(COST_VOLUME), BEHIND_AND_BESIDE, *memory.mounts, LIFT, PRE_PROCESS,
                *DECODER, RAISED, CONTEXT), ties=TIES)


def alocc_mini(spec: NetworkSpec, sizes: Sizes = MINI_SIZES, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """A smaller one over maps, which matches no images and lifts nothing beside the rays."""
    width, bins, wide = spec.context_channels, spec.depth, sizes.image_channels
    net = DepthNet(DepthChannels(wide, wide, width, sizes.pyramid_channels), bins.count, spec.feature_stride,
                   stereo=False, fused=memory.fused_depth)
    return OccupancyNetwork(
        spec,
        images=_images(sizes, stereo=False),
        depth=MonoDepth(net, spec.image_size, spec.cells, bins, occlusion=IntraRay(net.trunk, REACH_BEHIND),
                        remembers_geometry='geometry' in spec.cues),
        view=BareLiftView(FlatSoftFilling(spec.grid), spec.image_size, spec.cells, bins),
        memory=memory.slot(spec, nn.Conv2d),
        decoder=_map_decoder(spec, sizes),
        mounts=(*IMAGES, memory.depth_mount(), BEHIND, *memory.mounts, LIFT, *DECODER, RAISED, CONTEXT))


def _images(sizes: Sizes, *, stereo: bool = True) -> ImageEncoder:
    return ImageEncoder(ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), sizes.image_channels,
                        stereo=stereo)


def _stereo_depth(spec: NetworkSpec, sizes: Sizes, memory: Memory) -> StereoDepth:
    wide = sizes.image_channels
    net = DepthNet(DepthChannels(wide, wide, spec.context_channels, sizes.pyramid_channels), spec.depth.count,
                   spec.feature_stride, fused=memory.fused_depth)
    slot = MeasuredStereoDepth if spec.lidar_depth else StereoDepth
    return slot(net, spec.image_size, spec.cells, spec.depth, occlusion=IntraInterRay(net.trunk, REACH_BEHIND, wide),
                remembers_geometry='geometry' in spec.cues)


def _map_decoder(spec: NetworkSpec, sizes: Sizes) -> RaisedDecoder:
    widths, blocks, width = sizes.encoder_channels, sizes.encoder_blocks, spec.context_channels
    inner = spec.refinement, spec.refinement, spec.predicted_grid.shape[2]
    return RaisedDecoder(
        BevEncoder(width, widths, blocks, halving(len(blocks))), BevNeck(widths, sizes.map_channels),
        nn.Conv2d(sizes.map_channels, sizes.voxel_channels * math.prod(inner), 3, padding=1),
        QueryHead(sizes.voxel_channels, spec.classes + 1, width, sizes.outputs.first, sizes.outputs.free), inner)
