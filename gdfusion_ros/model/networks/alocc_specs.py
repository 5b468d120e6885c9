"""The networks of the ALOcc family: what each sees and predicts, and how large it is (alocc.md §9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF


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
    ALOCC_3D_GF,
    name='alocc_3d_gf_surroundocc',
    image_size=(896, 1600),
    depth=DepthBins(first=1.0, step=0.5, count=118),
    grid=VoxelGrid(lower=(-50.0, -50.0, -5.0), voxel_size=(0.5, 0.5, 0.5), shape=(200, 200, 16)),
    frame='lidar',
    label_set='surroundocc_nuscenes',
)
"""Its memory is warped by the vehicle's motion as it is, though the volume's axes are the LiDAR's [QUIRK]."""

ALOCC_3D_GF_WAYMO = replace(
    ALOCC_3D_GF,
    name='alocc_3d_gf_waymo',
    image_size=(640, 960),
    cameras=5,
    context_channels=64,
    depth=DepthBins(first=1.0, step=0.5, count=114),
    label_set='waymo',
    classes=16,
)

ALOCC_2D_GF = replace(
    ALOCC_3D_GF,
    name='alocc_2d_gf',
    context_channels=80,
    heights=16,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 6.4), shape=(200, 200, 1)),
)

ALOCC_2D_GF_OPENOCCUPANCY = replace(
    ALOCC_2D_GF,
    name='alocc_2d_gf_openoccupancy',
    image_size=(896, 1600),
    depth=ALOCC_3D_GF_SURROUNDOCC.depth,
    frame='lidar',
    label_set='openoccupancy_nuscenes',
    classes=17,
    grid=VoxelGrid(lower=(-51.2, -51.2, -5.0), voxel_size=(0.4, 0.4, 8.0), shape=(256, 256, 1)),
    refinement=2,
    heights=20,
)
"""Of no published configuration. The paper has the size of its images; that its map has cells of 0.4 m, each classified
as 2 x 2 x 40 voxels, that its depth bins are those for SurroundOcc and all layers those for Occ3D are assumptions."""

ALOCC_MINI_GF = replace(
    ALOCC_2D_GF,
    name='alocc_mini_gf',
    any_cameras=True,
    context_channels=40,
    depth=DepthBins(first=1.0, step=1.0, count=44),
)

ALOCC_3D = replace(ALOCC_3D_GF, name='alocc_3d', cues=())
ALOCC_3D_DEPTH = replace(ALOCC_3D, name='alocc_3d_depth', lidar_depth=True)
ALOCC_2D = replace(ALOCC_2D_GF, name='alocc_2d', cues=())
ALOCC_MINI = replace(ALOCC_MINI_GF, name='alocc_mini', cues=())
"""The baselines, which keep their last 16 volumes or maps in a queue (alocc.md §9.5, §9.6)."""
