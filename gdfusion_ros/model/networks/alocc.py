"""ALOcc-3D-GF: BEVDetOcc-GF with occlusion in the lift, and a query a class (alocc.md §1 to §9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gdfusion_ros.model.depth.measured import MeasuredStereoDepth
from gdfusion_ros.model.depth.net import COST_VOLUME, DEPTH_NET, TWO_HEADS, DepthNet
from gdfusion_ros.model.depth.occlusion import INTER_RAY, INTRA_RAY, IntraInterRay
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoder import MlpDecoder
from gdfusion_ros.model.heads.query import CONTEXT_QUERIES, QUERY_HEAD, QueryHead
from gdfusion_ros.model.images import ImageEncoder
from gdfusion_ros.model.layers.fpn import PYRAMID
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.layers.volume import VolumeEncoder, VolumeNeck
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, halving
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.recurrent import RecurrentMemory
from gdfusion_ros.model.temporal.scene import SCENE
from gdfusion_ros.model.view.soft_filling import InterRayView, SoftFilling
from gdfusion_ros.model.weights.keys import Mount

REACH_BEHIND = 22
"""How many depth bins behind a surface the networks look."""


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the released networks for nuScenes.

    Attributes:
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        image_channels: of the image features and the depth network's trunk.
        pyramid_channels: of each branch of the depth network's pyramid.
        encoder_channels, encoder_blocks: of the volume's encoder, one a stage; every stage but the first halves it.
        voxel_channels: of what the queries see of each voxel.
        context_queries: whether the lifted features are taught by queries, too.
        first_output: of the head that a voxel may be given; 2 where no voxel is of class 0.
    """

    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    image_channels: int = 256
    pyramid_channels: int = 96
    encoder_channels: tuple[int, ...] = (32, 64, 128, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 4, 4)
    voxel_channels: int = 48
    context_queries: bool = True
    first_output: int = 1


SURROUNDOCC_SIZES = Sizes(first_output=2)
WAYMO_SIZES = Sizes(encoder_channels=(64, 128, 256, 512), voxel_channels=64, context_queries=False)

ALOCC_3D_GF = replace(BEVDETOCC_GF, name='alocc_3d_gf')

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

DOWNSAMPLE = 'depth_net.{}_conv.0.downsample.{}'
TIES = {DOWNSAMPLE.format('depth', kind): DOWNSAMPLE.format('occ', kind) for kind in ('weight', 'bias')}
"""Both trunks of the depth network have one shortcut (alocc.md §2)."""

MOUNTS = (
    Mount('images.backbone', 'img_backbone'),
    Mount('images.neck', 'img_neck', PYRAMID),
    Mount('depth.net', 'depth_net', {**DEPTH_NET, **COST_VOLUME, **TWO_HEADS}),
    Mount('depth.occlusion', 'depth_net', {**INTRA_RAY, **INTER_RAY}),
    Mount('depth.fusion.history_gate', 'depth_net.depth_his_fusion_post_layer.gate_net'),
    Mount('depth.fusion.blend_gate', 'depth_net.gate_net'),
    Mount('view.lift', 'view_transformer'),
    Mount('view.pre_process', 'pre_process'),
    Mount('memory.motion.offset', 'his_stream_offset_net.history_stream_offset_net'),
    Mount('memory.voxel.time_embedding', 'time_emb_net'),
    Mount('memory.voxel.align', 'history_keyframe_time_conv'),
    Mount('memory.voxel.merge', 'history_keyframe_cat_conv'),
    Mount('memory.scene', 'scene_his_func_after_vox_his', SCENE),
    Mount('decoder.encoder', 'img_bev_encoder_backbone'),
    Mount('decoder.neck', 'img_bev_encoder_neck'),
    Mount('decoder.head', 'alocc_head', QUERY_HEAD),
)
CONTEXT_MOUNT = Mount('decoder.head', 'alocc_head', CONTEXT_QUERIES)


def alocc_3d(spec: NetworkSpec, sizes: Sizes | None = None) -> OccupancyNetwork:
    """The network of that spec; the sizes are the released ones for nuScenes unless others are given."""
    sizes = sizes or Sizes()
    width, bins, wide = spec.context_channels, spec.depth, sizes.image_channels
    net = DepthNet(wide, wide, width, bins.count, sizes.pyramid_channels, spec.feature_stride)
    slot = MeasuredStereoDepth if spec.lidar_depth else StereoDepth
    return OccupancyNetwork(
        spec,
        images=ImageEncoder(ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), wide),
        depth=slot(net, spec.image_size, spec.cells, bins, occlusion=IntraInterRay(net.trunk, REACH_BEHIND, wide),
                   remembers_geometry='geometry' in spec.cues),
        view=InterRayView(SoftFilling(spec.grid), VolumeEncoder(width, (width,), (1,), (1,)), spec.image_size,
                          spec.cells, bins),
        memory=RecurrentMemory(spec.grid, width, spec.cues),
        decoder=MlpDecoder(
            VolumeEncoder(width, sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))),
            VolumeNeck(sizes.encoder_channels, sizes.voxel_channels),
            QueryHead(sizes.voxel_channels, spec.classes + 1, width if sizes.context_queries else 0,
                      sizes.first_output)),
        mounts=(*MOUNTS, CONTEXT_MOUNT) if sizes.context_queries else MOUNTS, ties=TIES)
