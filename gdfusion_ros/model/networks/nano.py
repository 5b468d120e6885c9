"""gdfusion_nano: BEVDetOcc-GF in small, for a CPU; every cue, stereo, and the classes of the full network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from gdfusion_ros.model.depth.net import DepthChannels, DepthNet
from gdfusion_ros.model.depth.stereo import StereoDepth
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoder import SingleScaleDecoder
from gdfusion_ros.model.heads.mlp import OccupancyHead
from gdfusion_ros.model.images import ImageEncoder
from gdfusion_ros.model.layers.bev import ColumnEncoder, ColumnNeck
from gdfusion_ros.model.layers.resnet import BasicBlock, ResNet
from gdfusion_ros.model.layers.volume import VolumeEncoder
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import MOUNTS, halving
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.recurrent import RecurrentMemory
from gdfusion_ros.model.view.lift import Lift, LiftView


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the network that comes with the package.

    Attributes:
        backbone_widths, backbone_blocks: channels and number of blocks of the backbone's stages.
        image_channels: of the image features and the depth network's trunk.
        pyramid_channels: of each branch of the depth network's pyramid.
        lift_parts: how many parts with sums of their own the lift has along a voxel's edge.
        encoder_channels, encoder_blocks: of the columns' encoder, one a stage; every stage but the first halves it.
        classifier_channels: hidden channels of the head's classifier.
    """

    backbone_widths: tuple[int, ...] = (48, 96, 192)
    backbone_blocks: tuple[int, ...] = (2, 2, 2)
    image_channels: int = 80
    pyramid_channels: int = 32
    lift_parts: int = 2
    encoder_channels: tuple[int, ...] = (96, 128, 160)
    encoder_blocks: tuple[int, ...] = (1, 1, 2)
    classifier_channels: int = 192


GDFUSION_NANO = NetworkSpec(
    name='gdfusion_nano',
    image_size=(128, 352),
    depth=DepthBins(first=1.0, step=1.0, count=44),
    feature_stride=8,
    context_channels=16,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)),
    refinement=2,
)


def nano(spec: NetworkSpec, sizes: Sizes | None = None) -> OccupancyNetwork:
    """The network of that spec: told where the ground lies, its volume encoded and classified by columns."""
    sizes = sizes or Sizes()
    width, bins, wide = spec.context_channels, spec.depth, sizes.image_channels
    net = DepthNet(
        DepthChannels(wide, wide, width, sizes.pyramid_channels), bins.count, spec.feature_stride, ground=True
    )
    heights, across, r = spec.grid.shape[2], sizes.encoder_channels[0], spec.refinement
    return OccupancyNetwork(
        spec,
        images=ImageEncoder(ResNet(BasicBlock, sizes.backbone_widths, sizes.backbone_blocks), wide),
        depth=StereoDepth(
            net, spec.image_size, spec.cells, bins, remembers_geometry='geometry' in spec.cues, ground=True
        ),
        view=LiftView(
            Lift(spec.grid, width, sizes.lift_parts),
            VolumeEncoder(width, (width,), (1,), (1,)),
            spec.image_size,
            spec.cells,
            bins,
        ),
        memory=RecurrentMemory(spec.grid, width, spec.cues),
        decoder=SingleScaleDecoder(
            ColumnEncoder(
                heights * width, sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))
            ),
            ColumnNeck(sizes.encoder_channels, across),
            OccupancyHead(nn.Conv2d, across, sizes.classifier_channels, spec.classes + 1, (r, r, r * heights)),
        ),
        mounts=MOUNTS,
    )
