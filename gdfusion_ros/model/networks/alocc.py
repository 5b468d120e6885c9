"""ALOcc with the four cues: occlusion in the lift and a query a class, over volumes or over maps (alocc.md)."""

from __future__ import annotations

import math

from torch import nn

from gdfusion_ros.model.depth.measured import MeasuredBehindDepth, MeasuredStereoDepth
from gdfusion_ros.model.depth.mono import MonoDepth
from gdfusion_ros.model.depth.net import COST_VOLUME, DepthChannels, DepthNet
from gdfusion_ros.model.depth.occlusion import INTER_RAY, INTRA_RAY, IntraInterRay, IntraRay
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.heads.decoder import SingleScaleDecoder
from gdfusion_ros.model.heads.query import CONTEXT_QUERIES, QUERY_HEAD, QueryHead
from gdfusion_ros.model.heads.raised import RaisedDecoder
from gdfusion_ros.model.images import IMAGES, ImageEncoder
from gdfusion_ros.model.layers.bev import BevEncoder, BevNeck
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.layers.volume import VolumeEncoder, VolumeNeck
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.alocc_specs import MINI_SIZES, SIZES_2D, Sizes
from gdfusion_ros.model.networks.bevdetocc import halving
from gdfusion_ros.model.networks.memories import FUSIONS, Memory
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.view.lift import BareLiftView
from gdfusion_ros.model.view.soft_filling import FlatSoftFilling, InterRayView, SoftFilling
from gdfusion_ros.model.weights.keys import Mount

REACH_BEHIND = 22
"""How many depth bins behind a surface the networks look."""


DOWNSAMPLE = 'depth_net.{}_conv.0.downsample.{}'
TIES = {DOWNSAMPLE.format('depth', kind): DOWNSAMPLE.format('occ', kind) for kind in ('weight', 'bias')}
"""Both trunks of the depth network have one shortcut (alocc.md §2)."""

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
        view=InterRayView(
            SoftFilling(spec.grid), VolumeEncoder(width, (width,), (1,), (1,)), spec.image_size, spec.cells, bins
        ),
        memory=memory.slot(spec, nn.Conv3d),
        decoder=SingleScaleDecoder(
            VolumeEncoder(width, sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))),
            VolumeNeck(sizes.encoder_channels, sizes.voxel_channels),
            QueryHead(sizes.voxel_channels, spec.classes + 1, width if context else 0, sizes.outputs.first),
        ),
        mounts=(
            *IMAGES,
            memory.depth_mount(COST_VOLUME),
            BEHIND_AND_BESIDE,
            *memory.mounts,
            LIFT,
            PRE_PROCESS,
            *DECODER,
            *context,
        ),
        ties=TIES,
    )


def alocc_2d(spec: NetworkSpec, sizes: Sizes = SIZES_2D, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """The same over maps of the ground plan, which are raised into a volume at the end (alocc.md §9.6, §9.7)."""
    width = spec.context_channels
    return OccupancyNetwork(
        spec,
        images=_images(sizes),
        depth=_stereo_depth(spec, sizes, memory),
        view=InterRayView(
            FlatSoftFilling(spec.grid), BevEncoder(width, (width,), (1,), (1,)), spec.image_size, spec.cells, spec.depth
        ),
        memory=memory.slot(spec, nn.Conv2d),
        decoder=_map_decoder(spec, sizes),
        mounts=(
            *IMAGES,
            memory.depth_mount(COST_VOLUME),
            BEHIND_AND_BESIDE,
            *memory.mounts,
            LIFT,
            PRE_PROCESS,
            *DECODER,
            RAISED,
            CONTEXT,
        ),
        ties=TIES,
    )


def alocc_mini(spec: NetworkSpec, sizes: Sizes = MINI_SIZES, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """A smaller one over maps, which matches no images and lifts nothing beside the rays."""
    width, bins, wide = spec.context_channels, spec.depth, sizes.image_channels
    net = DepthNet(
        DepthChannels(wide, wide, width, sizes.pyramid_channels),
        bins.count,
        spec.feature_stride,
        stereo=False,
        fused=memory.fused_depth,
    )
    return OccupancyNetwork(
        spec,
        images=_images(sizes, stereo=False),
        depth=MonoDepth(
            net,
            spec.image_size,
            spec.cells,
            bins,
            occlusion=IntraRay(net.trunk, REACH_BEHIND),
            remembers_geometry='geometry' in spec.cues,
        ),
        view=BareLiftView(FlatSoftFilling(spec.grid), spec.image_size, spec.cells, bins),
        memory=memory.slot(spec, nn.Conv2d),
        decoder=_map_decoder(spec, sizes),
        mounts=(*IMAGES, memory.depth_mount(), BEHIND, *memory.mounts, LIFT, *DECODER, RAISED, CONTEXT),
    )


def _images(sizes: Sizes, *, stereo: bool = True) -> ImageEncoder:
    return ImageEncoder(
        ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), sizes.image_channels, stereo=stereo
    )


def _stereo_depth(spec: NetworkSpec, sizes: Sizes, memory: Memory) -> StereoDepth:
    wide = sizes.image_channels
    net = DepthNet(
        DepthChannels(wide, wide, spec.context_channels, sizes.pyramid_channels),
        spec.depth.count,
        spec.feature_stride,
        fused=memory.fused_depth,
    )
    measured = MeasuredStereoDepth if memory.fused_depth else MeasuredBehindDepth
    slot = measured if spec.lidar_depth else StereoDepth
    return slot(
        net,
        spec.image_size,
        spec.cells,
        spec.depth,
        occlusion=IntraInterRay(net.trunk, REACH_BEHIND, wide),
        remembers_geometry='geometry' in spec.cues,
    )


def _map_decoder(spec: NetworkSpec, sizes: Sizes) -> RaisedDecoder:
    widths, blocks, width = sizes.encoder_channels, sizes.encoder_blocks, spec.context_channels
    inner = spec.refinement, spec.refinement, spec.predicted_grid.shape[2]
    return RaisedDecoder(
        BevEncoder(width, widths, blocks, halving(len(blocks))),
        BevNeck(widths, sizes.map_channels),
        nn.Conv2d(sizes.map_channels, sizes.voxel_channels * math.prod(inner), 3, padding=1),
        QueryHead(sizes.voxel_channels, spec.classes + 1, width, sizes.outputs.first, sizes.outputs.free),
        inner,
    )
