"""Label sets: what the class ids of a semantic grid mean and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from gdfusion_ros.errors import GdfusionError

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

    ``dynamic`` holds the ids of the classes that move by themselves (mIoU_D is their mean), ``ground`` those of the
    surfaces that a vehicle can stand on.
    """

    name: str
    classes: tuple[LabelClass, ...]
    free: int
    dynamic: frozenset[int]
    ground: frozenset[int]

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


def _classes(*rows: tuple[str, tuple[int, int, int]]) -> tuple[LabelClass, ...]:
    return tuple(LabelClass(index, name, color) for index, (name, color) in enumerate(rows))


OCC3D_NUSCENES = LabelSet(
    name='occ3d_nuscenes',
    classes=_classes(
        ('others', (110, 110, 110)),
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
        ('free', (255, 255, 255)),
    ),
    free=17,
    dynamic=frozenset({2, 3, 4, 5, 6, 7, 9, 10}),
    ground=frozenset({11, 12, 13, 14}),
)

LABEL_SETS = {label_set.name: label_set for label_set in (OCC3D_NUSCENES,)}
