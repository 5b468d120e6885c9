"""Label sets: what the class ids of a semantic grid mean, how they are drawn, and where a dataset's labels lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
        free_in_files: other ids that files give to free space; they are read as ``free``.
        ignored_is_free: whether the released networks learn voxels that the labels say to ignore as free space, and are
            scored so (alocc.md §9.2).
    """

    name: str
    classes: tuple[LabelClass, ...]
    free: int
    dynamic: frozenset[int]
    ground: frozenset[int]
    grid: VoxelGrid
    frame: Literal['ego', 'lidar']
    camera_masked: bool
    free_in_files: frozenset[int] = frozenset()
    ignored_is_free: bool = False

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Of all classes, rising; not every set begins at 0."""
        return tuple(label.id for label in self.classes)

    @cached_property
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


def _classes(*rows: _Row, first: int = 0) -> tuple[LabelClass, ...]:
    return tuple(LabelClass(index, name, color) for index, (name, color) in enumerate(rows, first))


# In all sets of nuScenes these are the ids 1 to 16.
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
    name='occ3d_nuscenes',
    classes=_classes(('others', (110, 110, 110)), *_NUSCENES, _FREE),
    free=17,
    dynamic=_DYNAMIC,
    ground=_GROUND,
    frame='ego',
    camera_masked=True,
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(0.4, 0.4, 0.4), shape=(200, 200, 16)),
)
"""Occ3D-nuScenes (Tian et al., NeurIPS 2023)."""

SURROUNDOCC_NUSCENES = LabelSet(
    name='surroundocc_nuscenes',
    classes=_classes(*_NUSCENES, _FREE, first=1),
    free=17,
    dynamic=_DYNAMIC,
    ground=_GROUND,
    frame='lidar',
    camera_masked=False,
    free_in_files=frozenset({0}),
    ignored_is_free=True,
    grid=VoxelGrid(lower=(-50.0, -50.0, -5.0), voxel_size=(0.5, 0.5, 0.5), shape=(200, 200, 16)),
)
"""SurroundOcc (Wei et al., ICCV 2023). Its files list what is occupied, so free space has the id that networks give it:
17; no voxel is of a class 0 (alocc.md §9.2)."""

OPENOCCUPANCY_NUSCENES = LabelSet(
    name='openoccupancy_nuscenes',
    classes=_classes(_FREE, *_NUSCENES),
    free=0,
    dynamic=_DYNAMIC,
    ground=_GROUND,
    frame='lidar',
    camera_masked=False,
    grid=VoxelGrid(lower=(-51.2, -51.2, -5.0), voxel_size=(0.2, 0.2, 0.2), shape=(512, 512, 40)),
)
"""OpenOccupancy (Wang et al., ICCV 2023)."""

WAYMO = LabelSet(
    name='waymo',
    free=15,
    dynamic=frozenset({1, 2, 4, 8, 9}),
    ground=frozenset({13, 14}),
    frame='ego',
    camera_masked=True,
    free_in_files=frozenset({23}),
    grid=OCC3D_NUSCENES.grid,
    classes=_classes(
        ('general_object', (110, 110, 110)),
        ('vehicle', (0, 150, 245)),
        ('pedestrian', (255, 0, 0)),
        ('sign', (255, 120, 50)),
        ('bicyclist', (255, 130, 200)),
        ('traffic_light', (255, 225, 25)),
        ('pole', (135, 60, 0)),
        ('construction_cone', (255, 240, 150)),
        ('bicycle', (255, 192, 203)),
        ('motorcycle', (200, 180, 0)),
        ('building', (230, 230, 250)),
        ('vegetation', (0, 175, 0)),
        ('tree_trunk', (110, 80, 30)),
        ('road', (255, 0, 255)),
        ('walkable', (75, 0, 75)),
        _FREE,
    ),
)
"""Occ3D-Waymo (Tian et al., NeurIPS 2023), of the Waymo Open Dataset: five cameras (alocc.md §9.4)."""

LABEL_SETS = {
    label_set.name: label_set for label_set in (OCC3D_NUSCENES, SURROUNDOCC_NUSCENES, OPENOCCUPANCY_NUSCENES, WAYMO)
}
