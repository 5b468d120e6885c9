"""What a network is, to everybody who runs, trains, measures or scores one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.settings import CUES


@dataclass(frozen=True)
class NetworkSpec:
    """A network from outside.

    Attributes:
        name: in the zoo.
        image_size: (H, W) of its images [px].
        cameras: how many it was trained with.
        any_cameras: whether it takes another number, too: it sees each camera by itself and adds up what they see.
        depth: the depth bins.
        feature_stride: pixels of the image along an edge of a cell of its features.
        context_channels: of the features that are lifted.
        grid: the volume.
        refinement: how many voxels of the predicted grid lie along an edge of the volume's voxels.
        heights: how many times more lie along z, where the volume is a map of the ground plan.
        frame: where the grid lies: in the vehicle's frame, or the LiDAR's.
        label_set: name of the classes' label set.
        classes: of the label set; a head may have one output more, an unused slot before them.
        lidar_depth: whether it looks at LiDAR depth (Frame.lidar_depth), where there is any.
        cues: the temporal cues that are switched on, as in table 5 of the paper.
    """

    name: str
    image_size: tuple[int, int]
    depth: DepthBins
    feature_stride: int
    context_channels: int
    grid: VoxelGrid
    refinement: int = 1
    heights: int = 1
    cameras: int = 6
    any_cameras: bool = True
    frame: Literal['ego', 'lidar'] = 'ego'
    label_set: str = 'occ3d_nuscenes'
    classes: int = 18
    lidar_depth: bool = False
    cues: tuple[str, ...] = CUES

    @property
    def predicted_grid(self) -> VoxelGrid:
        """The grid of the classes: the volume's, refined."""
        return self.grid.refined(self.refinement, self.heights)

    @property
    def cells(self) -> tuple[int, int]:
        """(h, w) of the image features."""
        height, width = self.image_size
        return height // self.feature_stride, width // self.feature_stride

    def require_cameras(self, names: Sequence[str]) -> None:
        """Refuse a number of cameras that the network does not take.

        Raises:
            GdfusionError: names those that there are.
        """
        count = len(names)
        if count != self.cameras and not (self.any_cameras and names):
            raise GdfusionError(
                f"model {self.name} needs {self.cameras} cameras, but setting 'cameras' names "
                f'{count}: {", ".join(names)}'
            )

    def doubt_of_cameras(self, names: Sequence[str]) -> str | None:
        """What is to be said of a number of cameras that it takes, but was not trained with; None if nothing."""
        if len(names) == self.cameras:
            return None
        return (
            f'model {self.name} was trained with {self.cameras} cameras and gets {len(names)}: it knows nothing of '
            'what no camera sees, and nobody has measured how good its grids are'
        )

    def __post_init__(self) -> None:
        """Refuse cues that cannot work."""
        _require_known(self.cues)
        if 'motion' in self.cues and 'voxel' not in self.cues:
            raise GdfusionError("the cue 'motion' steers the warp of the cue 'voxel' and cannot be on without it")

    def with_cues(self, cues: tuple[str, ...]) -> NetworkSpec:
        """The same network with no other cues switched on than these; what it does not have stays off.

        Raises:
            GdfusionError: an unknown cue, or motion without voxel.
        """
        _require_known(cues)
        return replace(self, cues=tuple(cue for cue in cues if cue in self.cues))


def _require_known(cues: Sequence[str]) -> None:
    if unknown := set(cues) - set(CUES):
        raise GdfusionError(f"unknown cue '{unknown.pop()}'; there are {', '.join(CUES)}")
