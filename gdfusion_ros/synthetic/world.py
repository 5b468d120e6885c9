"""What a synthetic world consists of.

Metres, seconds, radians. The world frame is nuScenes' global frame: z is up and the ground lies at z = 0. An object's
own frame has x forward, y left, z up and its origin on the ground below its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.types import Matrix, Pixels


class Surface(IntEnum):
    """What the ground is made of."""

    ASPHALT = 0
    LINE_WHITE = 1
    LINE_YELLOW = 2
    SIDEWALK = 3
    KERB = 4
    GRASS = 5
    EARTH = 6
    PAVING = 7  # traffic islands, squares: neither road nor sidewalk


SURFACE_LABELS = {
    Surface.ASPHALT: 11,
    Surface.LINE_WHITE: 11,
    Surface.LINE_YELLOW: 11,
    Surface.SIDEWALK: 13,
    Surface.KERB: 13,
    Surface.GRASS: 14,
    Surface.EARTH: 14,
    Surface.PAVING: 12,
}
"""Surface -> class id of the label set occ3d_nuscenes."""


class Material(IntEnum):
    """What the parts of objects are made of; decides texture and gloss."""

    PAINT = 0
    GLASS = 1
    RUBBER = 2
    METAL = 3
    BRICK = 4
    PLASTER = 5
    FACADE = 6  # plaster with rows of windows
    FOLIAGE = 7
    BARK = 8
    CLOTH = 9
    SKIN = 10
    STRIPES = 11  # warning stripes of barriers and cones
    LAMP = 12  # shines by itself
    WOOD = 13


@dataclass(frozen=True, eq=False)
class Ground:
    """The map of the ground: (X, Y) uint8 Surface, cell (i, j) covers ``origin + (i, j) * cell`` and ``cell`` [m] more.

    Between the centres of cells the four nearest vote, each with its share. Outside the map lies grass.
    """

    surfaces: NDArray[np.uint8]
    origin: tuple[float, float]
    cell: float


@dataclass(frozen=True, eq=False)
class Part:
    """A convex solid: where all half-spaces and the quadric hold, in the frame of its model.

    Attributes:
        planes: (n, 4) rows (normal, d), normals of length 1 pointing outward: ``normal . p <= d``.
        centre: (3,) of the quadric.
        radii: (3,) of the quadric ``sum(((p - centre) / radii) ** 2) <= 1``; an infinite radius makes a cylinder along
            that axis, three of them leave the half-spaces alone.
        material: Its texture and gloss.
        color: (r, g, b) of the material, 0..1, linear.
    """

    planes: NDArray[np.float64]
    centre: NDArray[np.float64]
    radii: NDArray[np.float64]
    material: Material
    color: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Model:
    """A rigid object of one class.

    ``kind`` is its name in the catalogue, ``label`` its id in the label set occ3d_nuscenes, ``size`` (length, width,
    height) the box round it, which is centred on its origin and stands on the ground.
    """

    kind: str
    label: int
    size: tuple[float, float, float]
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where an object is over time: (n,) ``times`` [s], increasing, (n, 3) ``poses`` x, y, yaw; one pose stands still.

    Yaw is unwrapped, so that what lies between two poses is linear.
    """

    times: NDArray[np.float64]
    poses: NDArray[np.float64]

    def at(self, time: float) -> tuple[float, float, float]:
        """(x, y, yaw) at ``time``; before the first and after the last pose it stands still."""
        x, y, yaw = (float(np.interp(time, self.times, column)) for column in self.poses.T)
        return x, y, yaw


@dataclass(frozen=True, eq=False)
class WorldObject:
    """One object in the world."""

    model: Model
    trajectory: Trajectory


@dataclass(frozen=True, eq=False)
class World:
    """A scene: the ground, what stands and moves on it, the way of the vehicle that films it, and the light.

    ``ego`` is the track of nuScenes' ego frame (on the ground below the rear axle); the ego vehicle itself is not among
    the ``objects``. ``weather`` is a name of weather.WEATHER. ``seed`` chooses textures and noise.
    """

    seed: int
    weather: str
    ground: Ground
    objects: tuple[WorldObject, ...]
    ego: Trajectory


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """A pinhole camera in the world: image size [px], (3, 3) intrinsics [px], (4, 4) optical frame -> world frame."""

    width: int
    height: int
    intrinsics: Matrix
    world_from_camera: Matrix


@dataclass(frozen=True, eq=False)
class Rendering:
    """What a camera sees.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        labels: (h, w) uint8 class of occ3d_nuscenes; 17, free, is the sky.
        depth: (h, w) float32 [m] along the optical axis; infinite in the sky.
    """

    pixels: Pixels
    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]
