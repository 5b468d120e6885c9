"""The BEVDetOcc family: stereo depth, lift, a memory of the volume, a 3-D encoder and a classifier.

BEVDetOcc-GF remembers by the four fusions (bevdetocc_gf.md §1); the baselines that it is compared with remember no
volume, or keep the last ones in a queue (bevdetocc_sf.md §2, §3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from gdfusion_ros.model.depth.net import COST_VOLUME, DepthChannels, DepthNet
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoder import SingleScaleDecoder
from gdfusion_ros.model.heads.mlp import HEAD, OccupancyHead
from gdfusion_ros.model.images import IMAGES, ImageEncoder
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.layers.volume import VolumeEncoder, VolumeNeck
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.memories import FUSIONS, Memory
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.view.lift import Lift, LiftView
from gdfusion_ros.model.weights.keys import Mount


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the released network.

    Attributes:
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        image_channels: of the image features and the depth network's trunk.
        pyramid_channels: of each branch of the depth network's pyramid.
        encoder_channels, encoder_blocks: of the volume's encoder, one a stage; every stage but the first halves it.
        classifier_channels: hidden channels of the head's classifier.
    """

    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    image_channels: int = 256
    pyramid_channels: int = 96
    encoder_channels: tuple[int, ...] = (32, 64, 128)
    encoder_blocks: tuple[int, ...] = (1, 2, 4)
    classifier_channels: int = 64


BEVDETOCC_GF = NetworkSpec(
    name='bevdetocc_gf',
    image_size=(256, 704),
    depth=DepthBins(first=1.0, step=0.5, count=88),
    feature_stride=16,
    context_channels=32,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 0.4), shape=(200, 200, 16)),
)

BEVDETOCC_GF_SMALL = replace(
    BEVDETOCC_GF,
    name='bevdetocc_gf_small',
    image_size=(128, 352),
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)),
)
"""Half the image and half the grid: for tests and quick trials. No weights are published for it."""

BEVDETOCC = replace(BEVDETOCC_GF, name='bevdetocc', cues=())
"""No memory of the volume; the images are matched with the previous ones all the same."""

BEVDETOCC_SF = replace(BEVDETOCC, name='bevdetocc_sf')
"""The queue of SOLOFusion."""

AROUND_THE_MEMORY = (
    *IMAGES,
    Mount('view.lift', 'view_transformer'),
    Mount('view.pre_process', 'pre_process'),
    Mount('decoder.encoder', 'img_bev_encoder_backbone'),
    Mount('decoder.neck', 'img_bev_encoder_neck'),
    Mount('decoder.head', 'occupancy_head', HEAD),
)
MOUNTS = (*AROUND_THE_MEMORY, FUSIONS.depth_mount(COST_VOLUME), *FUSIONS.mounts)


def halving(stages: int) -> tuple[int, ...]:
    """Strides of an encoder in which every stage but the first halves what it gets."""
    return (1, *[2] * (stages - 1))


def bevdetocc(spec: NetworkSpec, sizes: Sizes | None = None, memory: Memory = FUSIONS) -> OccupancyNetwork:
    """The network of that spec; sizes and memory are those of the released network unless others are given."""
    sizes = sizes or Sizes()
    width, bins, wide = spec.context_channels, spec.depth, sizes.image_channels
    stages = sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))
    net = DepthNet(
        DepthChannels(wide, wide, width, sizes.pyramid_channels),
        bins.count,
        spec.feature_stride,
        fused=memory.fused_depth,
    )
    return OccupancyNetwork(
        spec,
        images=ImageEncoder(ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), wide),
        depth=StereoDepth(net, spec.image_size, spec.cells, bins, remembers_geometry='geometry' in spec.cues),
        view=LiftView(Lift(spec.grid), VolumeEncoder(width, (width,), (1,), (1,)), spec.image_size, spec.cells, bins),
        memory=memory.slot(spec, nn.Conv3d),
        decoder=SingleScaleDecoder(
            VolumeEncoder(width, *stages),
            VolumeNeck(sizes.encoder_channels, width),
            OccupancyHead(nn.Conv3d, width, sizes.classifier_channels, spec.classes + 1),
        ),
        mounts=(*AROUND_THE_MEMORY, memory.depth_mount(COST_VOLUME), *memory.mounts),
    )
