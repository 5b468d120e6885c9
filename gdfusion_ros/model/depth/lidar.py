"""LiDAR points as maps of the network's images (alocc.md §9.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import transform, translated
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Calibration


class SeenReturns(NamedTuple):
    """Returns of a sweep that the N images see, one a pixel.

    Attributes:
        place: (m,) of the pixels in (N, H, W) maps, flattened, rising.
        point: (m,) which return it is.
        depth: (m,) of it in its camera [m].
    """

    place: Tensor
    point: Tensor
    depth: Tensor


def seen_returns(
    points: Tensor, camera_from_lidar: Tensor, calibration: Calibration, image_size: tuple[int, int], bins: DepthBins
) -> SeenReturns:
    """The nearest return in each pixel of the images, as the release finds it.

    Points that no bin holds hide nothing. The nearest is the first by a key of pixel and depth in float32, which tells
    depths apart to 0.2 to 1.6 m only: of nearer ones, the first of the sweep counts [QUIRK].

    Args:
        points: (n, 3) float32 in the LiDAR's frame [m].
        camera_from_lidar: (N, 4, 4) float32: the LiDAR at its own stamp -> each camera at its own.
        calibration: of the cameras; one that is masked out sees none.
        image_size: (H, W) of the network's images [px].
        bins: of the network: the range that counts.
    """
    height, width = image_size
    seen = translated(
        camera_from_lidar[:, :3, :3], points.expand(len(camera_from_lidar), -1, 3), camera_from_lidar[:, :3, 3]
    )
    depth = seen[..., 2]
    source = transform(calibration.intrinsics, seen) / depth[..., None]
    pixels = translated(calibration.post_rotation, source, calibration.post_translation)[..., :2].round()
    column, row = pixels.unbind(-1)
    counted = (
        calibration.visible[:, None]
        & (depth >= bins.first)
        & (depth < bins.first + bins.step * bins.count)
        & (column >= 0)
        & (column < width)
        & (row >= 0)
        & (row < height)
    )
    camera, point = counted.nonzero().unbind(1)
    place = (camera * height + row[camera, point].long()) * width + column[camera, point].long()
    kept = _first_of_each(place, (column + row * width + depth / 100)[camera, point])
    return SeenReturns(place[kept], point[kept], depth[camera, point][kept])


def _first_of_each(group: Tensor, rank: Tensor) -> Tensor:
    """Which of (n,) elements has the lowest rank of its group, by rising group; of equals the first."""
    order = rank.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    first = torch.ones_like(group, dtype=torch.bool)
    first[1:] = group[order[1:]] != group[order[:-1]]
    return order[first]


def depth_maps(
    points: Tensor, camera_from_lidar: Tensor, calibration: Calibration, image_size: tuple[int, int], bins: DepthBins
) -> Tensor:
    """Depth of the nearest return in each pixel of the images.

    Arguments as of ``seen_returns``.

    Returns:
        (N, H, W) float32 [m], 0 where there is none.
    """
    seen = seen_returns(points, camera_from_lidar, calibration, image_size, bins)
    maps = torch.zeros(len(camera_from_lidar), *image_size)
    maps.view(-1)[seen.place] = seen.depth
    return maps


def nearest_classes(seen: SeenReturns, classes: Tensor, size: tuple[int, int, int], patch: int, none: int) -> Tensor:
    """The class of the nearest return in each cell of ``patch`` x ``patch`` pixels (training.md §3).

    Args:
        seen: the returns.
        classes: (n,) of all points.
        size: (N, H, W) of the images.
        patch: pixels along an edge of a cell.
        none: class of a cell on which nothing falls.

    Returns:
        (N, H / patch, W / patch) of the classes' type.
    """
    cameras, height, width = size
    row, column = seen.place // width, seen.place % width
    cell = row // patch * (width // patch) + column // patch  # the rows of all images stand below each other
    nearest = _first_of_each(cell, seen.depth)
    found = torch.full((cameras, height // patch, width // patch), none, dtype=classes.dtype)
    found.view(-1)[cell[nearest]] = classes[seen.point[nearest]]
    return found
