"""Label sets: what the class ids of a semantic grid mean, how they are drawn, and where a dataset's labels lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid

UNKNOWN = 255
"""Label of a voxel that nothing is known of (SemanticOccupancyGrid.UNKNOWN)."""


@dataclass(frozen=True)
class LabelClass:
    """One semantic class: its id in the grid, its name, its colour (sRGB, 0..255)."""

    id: int
    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a dataset's occupancy labels.

    Attributes:
        name: of the set.
        classes: every class, free space among them.
        free: id of free space.
        dynamic: ids of the classes that move by themselves (mIoU_D is their mean).
        ground: ids of the surfaces that a vehicle can stand on.
        grid: the voxels of the dataset's labels.
        frame: where that grid lies: in the vehicle's or the LiDAR's frame, at the LiDAR's stamp.
        camera_masked: whether the labels say what the cameras can see, and are scored there only.
    """

    name: str
    classes: tuple[LabelClass, ...]
    free: int
    dynamic: frozenset[int]
    ground: frozenset[int]
    grid: VoxelGrid
    frame: Literal['ego', 'lidar']
    camera_masked: bool

    @property
    def occupied(self) -> tuple[LabelClass, ...]:
        """Every class but free space."""
        return tuple(label for label in self.classes if label.id != self.free)

    def by_name(self, name: str) -> LabelClass:
        """The class called ``name``.

        Raises:
            GdfusionError: no class of this set has that name.
        """
        for label in self.classes:
            if label.name == name:
                return label
        known = ', '.join(label.name for label in self.classes)
        raise GdfusionError(f"no class '{name}' in label set {self.name}; it has {known}")


_Row = tuple[str, tuple[int, int, int]]


def _classes(*rows: _Row) -> tuple[LabelClass, ...]:
    return tuple(LabelClass(index, name, color) for index, (name, color) in enumerate(rows))


# In all three sets these are the ids 1 to 16.
_NUSCENES: tuple[_Row, ...] = (
    ('barrier', (255, 120, 50)),
    ('bicycle', (255, 192, 203)),
    ('bus', (255, 225, 25)),
    ('car', (0, 150, 245)),
    ('construction_vehicle', (0, 255, 255)),
    ('motorcycle', (200, 180, 0)),
    ('pedestrian', (255, 0, 0)),
    ('traffic_cone', (255, 240, 150)),
    ('trailer', (135, 60, 0)),
    ('truck', (160, 32, 240)),
    ('driveable_surface', (255, 0, 255)),
    ('other_flat', (139, 137, 137)),
    ('sidewalk', (75, 0, 75)),
    ('terrain', (150, 240, 80)),
    ('manmade', (230, 230, 250)),
    ('vegetation', (0, 175, 0)),
)
_FREE: _Row = ('free', (255, 255, 255))
_DYNAMIC, _GROUND = frozenset({2, 3, 4, 5, 6, 7, 9, 10}), frozenset({11, 12, 13, 14})

OCC3D_NUSCENES = LabelSet(
    name='occ3d_nuscenes', classes=_classes(('others', (110, 110, 110)), *_NUSCENES, _FREE), free=17,
    dynamic=_DYNAMIC, ground=_GROUND, frame='ego', camera_masked=True,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 0.4), shape=(200, 200, 16)))
"""Occ3D-nuScenes (Tian et al., NeurIPS 2023)."""

SURROUNDOCC_NUSCENES = LabelSet(
    name='surroundocc_nuscenes', classes=_classes(_FREE, *_NUSCENES), free=0,
    dynamic=_DYNAMIC, ground=_GROUND, frame='lidar', camera_masked=False,
    grid=VoxelGrid(lower=(-50.0, -50.0, -5.0), voxel_size=(0.5, 0.5, 0.5), shape=(200, 200, 16)))
"""SurroundOcc (Wei et al., ICCV 2023)."""

OPENOCCUPANCY_NUSCENES = LabelSet(
    name='openoccupancy_nuscenes', classes=_classes(_FREE, *_NUSCENES), free=0,
    dynamic=_DYNAMIC, ground=_GROUND, frame='lidar', camera_masked=False,
    grid=VoxelGrid(lower=(-51.2, -51.2, -5.0), voxel_size=(0.2, 0.2, 0.2), shape=(512, 512, 40)))
"""OpenOccupancy (Wang et al., ICCV 2023)."""

LABEL_SETS = {label_set.name: label_set
              for label_set in (OCC3D_NUSCENES, SURROUNDOCC_NUSCENES, OPENOCCUPANCY_NUSCENES)}
