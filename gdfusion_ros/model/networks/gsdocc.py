"""GSD-Occ: what stands where and what it is, decoded apart; a queue of views remembers (gsdocc.md; AAAI 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from gdfusion_ros.model.depth.mono import MonoDepth
from gdfusion_ros.model.depth.net import DEPTH_NET, ONE_HEAD, DepthChannels, DepthNet
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoupled import DECOUPLED_HEAD, DecoupledDecoder, DecoupledHead
from gdfusion_ros.model.images import IMAGES, ImageEncoder
from gdfusion_ros.model.layers.bev import DOUBLED_BEV_NECK, BevEncoder, DoubledBevNeck
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.flattened import FlattenedMemory
from gdfusion_ros.model.temporal.queue import QueueMemory
from gdfusion_ros.model.view.lift import BareLiftView, Lift
from gdfusion_ros.model.weights.keys import Mount


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the released network.

    Attributes:
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        image_channels: of the image features, the depth network's trunk, and each branch of its pyramid.
        past_views: how many are remembered.
        view_channels: of the view with what is remembered, and of the encoded one.
        encoder_channels, encoder_blocks: of the view's encoder, one a stage; every stage halves the view.
    """

    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    image_channels: int = 512
    past_views: int = 15
    view_channels: int = 256
    encoder_channels: tuple[int, ...] = (512, 1024)
    encoder_blocks: tuple[int, ...] = (2, 2)


GSDOCC = NetworkSpec(
    name='gsdocc',
    image_size=(256, 704),
    depth=DepthBins(first=2.0, step=0.5, count=80),
    feature_stride=16,
    context_channels=80,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)),
    refinement=2,
    cues=(),
)

MOUNTS = (
    *IMAGES,
    Mount('depth.net', 'depth_net', {**DEPTH_NET, **ONE_HEAD}),
    Mount('view.lift', 'forward_projection'),
    Mount('memory.views.align', 'history_keyframe_time_conv'),
    Mount('memory.views.merge', 'history_keyframe_cat_conv'),
    Mount('decoder.encoder', 'img_bev_encoder_backbone'),
    Mount('decoder.neck', 'img_bev_encoder_neck', DOUBLED_BEV_NECK),
    Mount('decoder.head', 'occupancy_head', DECOUPLED_HEAD),
)


def gsdocc(spec: NetworkSpec, sizes: Sizes | None = None) -> OccupancyNetwork:
    """The network of that spec as it is trained; the sizes are the released ones unless others are given."""
    sizes = sizes or Sizes()
    width, bins, wide, across = spec.context_channels, spec.depth, sizes.image_channels, sizes.view_channels
    net = DepthNet(DepthChannels(wide, wide, width, wide), bins.count, spec.feature_stride, stereo=False, fused=False)
    stages = sizes.encoder_channels, sizes.encoder_blocks, [2] * len(sizes.encoder_blocks)
    return OccupancyNetwork(
        spec,
        images=ImageEncoder(ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), wide, stereo=False),
        depth=MonoDepth(net, spec.image_size, spec.cells, bins),
        view=BareLiftView(Lift(spec.grid), spec.image_size, spec.cells, bins),
        memory=FlattenedMemory(QueueMemory(spec.grid, width, sizes.past_views, out_channels=across, conv=nn.Conv2d)),
        decoder=DecoupledDecoder(
            BevEncoder(across, *stages),
            DoubledBevNeck(sizes.encoder_channels, sizes.encoder_channels[0], across),
            DecoupledHead(across, width, spec.grid.shape[2], spec.classes),
        ),
        mounts=MOUNTS,
    )
