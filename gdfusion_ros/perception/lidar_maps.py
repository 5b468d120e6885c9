"""LiDAR points as maps of the network's images (alocc.md §9.3). Needs no torch.

float32 in one fixed order of operations: whether two returns share a pixel, and which of them is nearer, is decided by
last bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.perception.framing import RigMatrices, RigPoses
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.poses import inverse, product
from gdfusion_ros.perception.types import LidarSweep

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class SeenReturns(NamedTuple):
    """Returns of a sweep that N images see, one a pixel.

    Attributes:
        place: (m,) of the pixels in (N, H, W) maps, flattened, rising.
        point: (m,) which return it is.
        depth: (m,) of it in its camera [m].
    """

    place: Ints
    point: Ints
    depth: Floats


def depth_maps(
    sweep: LidarSweep, now: RigPoses, matrices: RigMatrices, image_size: tuple[int, int], bins: DepthBins
) -> Floats:
    """Depth of the nearest return in each pixel of the images.

    Args:
        sweep: of about the same time as the images.
        now: where the cameras were.
        matrices: made of ``now``; a camera that is not visible sees no return.
        image_size: (H, W) of the network's images [px].
        bins: of the network: the range that counts.

    Returns:
        (N, H, W) [m], 0 where there is none.
    """
    seen = seen_returns(sweep, now, matrices, image_size, bins)
    maps = np.zeros((len(matrices.visible), *image_size), np.float32)
    maps.reshape(-1)[seen.place] = seen.depth
    return maps


def class_maps(
    seen: SeenReturns, classes: NDArray[np.uint8], size: tuple[int, int, int], patch: int
) -> NDArray[np.uint8]:
    """The class of the nearest return in each cell of ``patch`` x ``patch`` pixels (training.md §3).

    Args:
        seen: the returns.
        classes: (n,) of all points.
        size: (N, H, W) of the images.
        patch: pixels along an edge of a cell.

    Returns:
        (N, H / patch, W / patch), UNKNOWN where nothing falls on the cell.
    """
    cameras, height, width = size
    row, column = seen.place // width, seen.place % width
    cell = row // patch * (width // patch) + column // patch  # the rows of all images stand below each other
    nearest = _first_of_each(cell, seen.depth)
    maps = np.full((cameras, height // patch, width // patch), UNKNOWN, np.uint8)
    maps.reshape(-1)[cell[nearest]] = classes[seen.point[nearest]]
    return maps


def seen_returns(
    sweep: LidarSweep, now: RigPoses, matrices: RigMatrices, image_size: tuple[int, int], bins: DepthBins
) -> SeenReturns:
    """The nearest return in each pixel of the images, as the release finds it; arguments as of ``depth_maps``.

    Points that no bin holds hide nothing. The nearest is the first by a key of pixel and depth in float32, which tells
    depths apart to 0.2 to 1.6 m only: of nearer ones, the first of the sweep counts [QUIRK].
    """
    points = np.ascontiguousarray(sweep.points.T)
    seen = [
        _seen_by(matrices, camera, product(inverse(pose), sweep.fixed_from_lidar), points, image_size, bins)
        for camera, pose in enumerate(now.fixed_from_camera)
    ]
    return SeenReturns(*(np.concatenate(parts) for parts in zip(*seen, strict=True)))


def _seen_by(
    matrices: RigMatrices,
    camera: int,
    camera_from_lidar: NDArray[np.float64],
    points: Floats,
    image_size: tuple[int, int],
    bins: DepthBins,
) -> SeenReturns:
    """What one of the cameras sees of (3, n) points."""
    height, width = image_size
    with np.errstate(over='ignore', invalid='ignore'):  # what is not finite is in no image
        transform = camera_from_lidar.astype(np.float32)
        placed = product(transform[:3, :3], points) + transform[:3, 3:]
        counted = (placed[2] >= bins.first) & (placed[2] < bins.first + bins.step * bins.count)
        point = np.flatnonzero(counted & matrices.visible[camera])
        placed = placed.take(point, 1)
        source = product(matrices.intrinsics[camera], placed) / placed[2]
        pixels = product(matrices.post_rotation[camera], source) + matrices.post_translation[camera][:, None]
    column, row = np.rint(pixels[:2])
    kept = np.flatnonzero((column >= 0) & (column < width) & (row >= 0) & (row < height))
    column, row, depth, point = column[kept], row[kept], placed[2, kept], point[kept]
    place = (camera * height + row.astype(np.int64)) * width + column.astype(np.int64)
    first = _first_of_each(place, column + row * width + depth / 100)
    return SeenReturns(place[first], point[first], depth[first])


def _first_of_each(group: Ints, rank: Floats) -> Ints:
    """Which of (n,) elements has the lowest rank of its group, by rising group; of equals the first."""
    order: Ints = np.lexsort((rank, group))
    grouped = group[order]
    first = np.ones(len(group), bool)
    first[1:] = grouped[1:] != grouped[:-1]
    found: Ints = order[first]
    return found
