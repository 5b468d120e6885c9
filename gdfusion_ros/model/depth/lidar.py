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


def seen_returns(points: Tensor, camera_from_lidar: Tensor, calibration: Calibration, image_size: tuple[int, int],
                 bins: DepthBins) -> SeenReturns:
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
    seen = translated(camera_from_lidar[:, :3, :3], points.expand(len(camera_from_lidar), -1, 3),
                      camera_from_lidar[:, :3, 3])
    depth = seen[..., 2]
    source = transform(calibration.intrinsics, seen) / depth[..., None]
    pixels = translated(calibration.post_rotation, source, calibration.post_translation)[..., :2].round()
    column, row = pixels.unbind(-1)
    counted = calibration.visible[:, None] & (depth >= bins.first) & (depth < bins.first + bins.step * bins.count) \
        & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    camera, point = counted.nonzero().unbind(1)
    key = (column + row * width + depth / 100)[camera, point]
    order = key.argsort(stable=True)
    order = order[camera[order].argsort(stable=True)]
    camera, point = camera[order], point[order]
    place = (camera * height + row[camera, point].long()) * width + column[camera, point].long()
    first = torch.ones_like(place, dtype=torch.bool)
    first[1:] = place[1:] != place[:-1]
    return SeenReturns(place[first], point[first], depth[camera, point][first])


def depth_maps(points: Tensor, camera_from_lidar: Tensor, calibration: Calibration, image_size: tuple[int, int],
               bins: DepthBins) -> Tensor:
    """Depth of the nearest return in each pixel of the images.

    Arguments as of ``seen_returns``.

    Returns:
        (N, H, W) float32 [m], 0 where there is none.
    """
    seen = seen_returns(points, camera_from_lidar, calibration, image_size, bins)
    maps = torch.zeros(len(camera_from_lidar), *image_size)
    maps.view(-1)[seen.place] = seen.depth
    return maps
