"""A small software renderer for labelled voxel grids: flat colours, sun and shadow, darker corners, thin seams.

Rays walk the grid voxel by voxel, see ``perception.ray_traversal``.
Inside this module points and directions are measured in voxels, from the grid's lower corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.perception.ray_traversal import cross_box, first_voxel

Vector = tuple[float, float, float]
Floats = NDArray[np.float64]

_SUN = (-0.42, -0.30, 0.86)
_SHADOW, _CORNER, _SEAM = 0.62, 0.12, 0.88
_FACE_LIGHT = (0.76, 0.62, 1.0)
_SEAM_WIDTH, _SEAM_RANGE = 0.05, 160.0


@dataclass(frozen=True)
class Viewpoint:
    """A perspective camera: where it stands, where it looks [m], and its horizontal opening angle [deg]."""

    eye: Vector
    target: Vector
    opening: float

    def image_plane(self, width: int, height: int) -> tuple[Floats, Floats, Floats]:
        """Directions [m] to the image's upper left corner, and along one pixel to the right and one down."""
        forward = _unit(np.subtract(self.target, self.eye))
        right = _unit(np.cross(forward, (0.0, 0.0, 1.0)))
        pixel = 2 * math.tan(math.radians(self.opening) / 2) / width
        across, down = right * pixel, np.cross(forward, right) * pixel
        return forward - across * width / 2 - down * height / 2, across, down


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn.

    ``labels`` is (X, Y, Z), ``colors`` (256, 3) float32 of every label in 0..255, ``solid`` (256,) bool whether voxels
    of a label are drawn. ``boxes`` (n, 2, 3) are lower and upper corners [m] of additional boxes, ``box_colors`` (n, 3)
    theirs. ``lower`` and ``voxel_size`` [m] place the grid.
    """

    labels: NDArray[np.uint8]
    colors: NDArray[np.float32]
    solid: NDArray[np.bool_]
    lower: Vector
    voxel_size: Vector
    boxes: Floats
    box_colors: NDArray[np.float32]


def render(scene: Drawing, view: Viewpoint, width: int, height: int, samples: int = 2) -> NDArray[np.float32]:
    """(height, width, 4) float32: colour 0..255 multiplied by coverage, and coverage 0..1.

    ``samples`` x ``samples`` rays a pixel are averaged.
    """
    size = np.array(scene.voxel_size)
    eye = (np.array(view.eye) - scene.lower) / size
    corner, across, down = (vector / size for vector in view.image_plane(width * samples, height * samples))
    image = np.zeros((height, width, 4), np.float32)
    _render(
        scene.solid[scene.labels],
        scene.labels,
        scene.colors,
        (scene.boxes - scene.lower) / size,
        scene.box_colors,
        tuple(eye),
        (corner, across, down),
        samples,
        image,
    )
    return image


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


@numba.njit(cache=True, parallel=True)
def _render(solid, labels, colors, boxes, box_colors, eye, plane, samples, image):  # type: ignore[no-untyped-def]
    """Adds every sample of every pixel to ``image``."""
    corner, across, down = plane
    weight = 1 / samples**2
    for row in numba.prange(image.shape[0]):
        for sample in range(image.shape[1] * samples * samples):
            u, v = sample // samples + 0.5, row * samples + sample % samples + 0.5
            direction = (
                corner[0] + u * across[0] + v * down[0],
                corner[1] + u * across[1] + v * down[1],
                corner[2] + u * across[2] + v * down[2],
            )
            x, y, z, axis, distance, _ = first_voxel(solid, eye, direction, False)
            box, box_axis, box_distance = _first_box(boxes, eye, direction)
            column = sample // samples**2
            if box >= 0 and (axis < 0 or box_distance < distance):
                _add(image[row, column], box_colors[box], _FACE_LIGHT[box_axis] * weight, weight)
            elif axis >= 0:
                light = _light(solid, (x, y, z), axis, eye, direction, distance)
                _add(image[row, column], colors[labels[x, y, z]], light * weight, weight)


@numba.njit(cache=True)
def _add(pixel, color, light, weight):  # type: ignore[no-untyped-def]
    for channel in range(3):
        pixel[channel] += color[channel] * light
    pixel[3] += weight


@numba.njit(cache=True)
def _first_box(boxes, origin, direction):  # type: ignore[no-untyped-def]
    """The nearest box on a ray (-1: none), the axis of the face that is hit, the distance."""
    best, best_axis, best_distance = -1, 0, np.inf
    for index in range(boxes.shape[0]):
        enter, leave, axis = cross_box(boxes[index, 0], boxes[index, 1], origin, direction)
        if axis >= 0 and enter < leave and enter < best_distance:
            best, best_axis, best_distance = index, axis, enter
    return best, best_axis, best_distance


@numba.njit(cache=True)
def _light(solid, voxel, axis, origin, direction, distance):  # type: ignore[no-untyped-def]
    """Brightness 0..1 of the point that a ray hits on a voxel's face."""
    point = (
        origin[0] + distance * direction[0],
        origin[1] + distance * direction[1],
        origin[2] + distance * direction[2],
    )
    side = -1 if direction[axis] > 0 else 1
    light = _FACE_LIGHT[axis] * _corner_light(solid, voxel, axis, side, point) * _seam_light(point, axis, distance)
    # The ray to the sun starts in the voxel in front of the face, so that it cannot meet the face itself.
    front = 1e-6 * side
    start = (point[0] + front * (axis == 0), point[1] + front * (axis == 1), point[2] + front * (axis == 2))
    if _SUN[axis] * side <= 0 or first_voxel(solid, start, _SUN, False)[0] >= 0:
        light *= _SHADOW
    return light


@numba.njit(cache=True)
def _corner_light(solid, voxel, axis, side, point):  # type: ignore[no-untyped-def]
    """Ambient light on a face: darker towards the corners that the voxels in front of the face close in."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    a, b = point[first] - voxel[first], point[second] - voxel[second]
    light = 0.0
    for i in (-1, 1):
        for j in (-1, 1):
            beside = _closed(solid, voxel, axis, side, i, 0) + _closed(solid, voxel, axis, side, 0, j)
            closed = 3 if beside == 2 else beside + _closed(solid, voxel, axis, side, i, j)
            light += (a if i > 0 else 1 - a) * (b if j > 0 else 1 - b) * (1 - _CORNER * closed)
    return light


@numba.njit(cache=True)
def _closed(solid, voxel, axis, side, i, j):  # type: ignore[no-untyped-def]
    """Whether the voxel in front of a face, moved by i and j along the face's axes, is solid."""
    first = (axis + 1) % 3
    x = voxel[0] + (side if axis == 0 else i if first == 0 else j)
    y = voxel[1] + (side if axis == 1 else i if first == 1 else j)
    z = voxel[2] + (side if axis == 2 else i if first == 2 else j)
    inside = 0 <= x < solid.shape[0] and 0 <= y < solid.shape[1] and 0 <= z < solid.shape[2]
    return 1 if inside and solid[x, y, z] else 0


@numba.njit(cache=True)
def _seam_light(point, axis, distance):  # type: ignore[no-untyped-def]
    """Thin dark lines between voxels, fading where a voxel is only a few pixels wide."""
    border = 1.0
    for other in range(3):
        if other != axis:
            part = point[other] - math.floor(point[other])
            border = min(border, part, 1 - part)
    fade = max(0.0, 1 - distance / _SEAM_RANGE) if border < _SEAM_WIDTH else 0.0
    return 1 - (1 - _SEAM) * fade
