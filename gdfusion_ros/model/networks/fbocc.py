"""FB-Occ-GF: depth from one frame, forward and backward projection, the four fusions, a pyramid (spec fbocc)."""

from __future__ import annotations

from dataclasses import dataclass

from gdfusion_ros.model.depth.mono import MonoDepth
from gdfusion_ros.model.depth.net import DepthChannels, DepthNet
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.heads.decoder import MultiscaleDecoder
from gdfusion_ros.model.heads.multiscale import MULTISCALE_HEAD, MultiscaleHead
from gdfusion_ros.model.images import IMAGES, ImageEncoder
from gdfusion_ros.model.layers.resnet import Bottleneck, ResNet
from gdfusion_ros.model.layers.volume_pyramid import (
    ProjectedEncoder,
    VolumePyramid,
    projected_encoder_table,
    volume_pyramid_table,
)
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import halving
from gdfusion_ros.model.networks.memories import FUSIONS
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.recurrent import RecurrentMemory
from gdfusion_ros.model.view.backward_projection import BACKWARD_PROJECTION, BackwardProjection
from gdfusion_ros.model.view.forward_backward import ForwardBackwardView
from gdfusion_ros.model.view.lift import Lift
from gdfusion_ros.model.weights.keys import Mount


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks; those of the released network.

    Attributes:
        backbone_widths, backbone_blocks: inner channels and number of blocks of the backbone's stages.
        image_channels: of the image features.
        depth_channels: of the depth network's trunk and of each branch of its pyramid.
        encoder_channels, encoder_blocks: of the volume's encoder, one a stage; every stage but the first halves it.
        pyramid_channels: of all levels behind the encoder.
        head_channels, classifier_channels: of the levels in the head, and of what a voxel is classified by.
    """

    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: tuple[int, ...] = (3, 4, 6, 3)
    image_channels: int = 256
    depth_channels: int = 512
    encoder_channels: tuple[int, ...] = (64, 128, 256)
    encoder_blocks: tuple[int, ...] = (2, 2, 2)
    pyramid_channels: int = 256
    head_channels: int = 128
    classifier_channels: int = 64


FBOCC_GF = NetworkSpec(
    name='fbocc_gf',
    image_size=(256, 704),
    depth=DepthBins(first=2.0, step=0.5, count=80),
    feature_stride=16,
    context_channels=80,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.8, 0.8, 0.8), shape=(100, 100, 8)),
    refinement=2,
)


def mounts(sizes: Sizes) -> tuple[Mount, ...]:
    """Published places of the blocks."""
    levels = len(sizes.encoder_blocks)
    return (
        *IMAGES,
        FUSIONS.depth_mount(),
        *FUSIONS.mounts,
        Mount('view.lift', 'view_transformer'),
        Mount('view.backward_projection', 'backward_projection', BACKWARD_PROJECTION),
        Mount('decoder.encoder', 'img_bev_encoder_backbone', projected_encoder_table(sizes.encoder_blocks)),
        Mount('decoder.neck', 'img_bev_encoder_neck', volume_pyramid_table(levels)),
        Mount('decoder.head', 'occupancy_head', MULTISCALE_HEAD),
    )


def fbocc(spec: NetworkSpec, sizes: Sizes | None = None) -> OccupancyNetwork:
    """The network of that spec; the sizes are the released ones unless others are given."""
    sizes = sizes or Sizes()
    width, bins, wide, deep = spec.context_channels, spec.depth, sizes.image_channels, sizes.depth_channels
    stages = sizes.encoder_channels, sizes.encoder_blocks, halving(len(sizes.encoder_blocks))
    net = DepthNet(DepthChannels(wide, deep, width, deep), bins.count, spec.feature_stride, stereo=False)
    return OccupancyNetwork(
        spec,
        images=ImageEncoder(ResNet(Bottleneck, sizes.backbone_widths, sizes.backbone_blocks), wide, stereo=False),
        depth=MonoDepth(net, spec.image_size, spec.cells, bins, remembers_geometry='geometry' in spec.cues),
        view=ForwardBackwardView(
            Lift(spec.grid), BackwardProjection(spec.grid, width, spec.cameras), spec.image_size, spec.cells, bins
        ),
        memory=RecurrentMemory(spec.grid, width, spec.cues),
        decoder=MultiscaleDecoder(
            ProjectedEncoder(width, *stages),
            VolumePyramid(sizes.encoder_channels, sizes.pyramid_channels),
            MultiscaleHead(
                sizes.pyramid_channels,
                sizes.head_channels,
                sizes.classifier_channels,
                spec.classes + 1,
                len(sizes.encoder_blocks),
            ),
        ),
        mounts=mounts(sizes),
    )
