"""LiDAR points as depth maps of the network's images (alocc.md §9.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.camera import transform, translated
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.interface import Calibration


def depth_maps(points: Tensor, camera_from_lidar: Tensor, calibration: Calibration, image_size: tuple[int, int],
               bins: DepthBins) -> Tensor:
    """Depth of the nearest return in each pixel of the images.

    Points that no bin holds hide nothing. Where several fall on a pixel the release takes the first by a rounded key,
    which is the nearest but for a few; here it is the nearest.

    Args:
        points: (n, 3) float32 in the LiDAR's frame [m].
        camera_from_lidar: (N, 4, 4) float32: the LiDAR at its own stamp -> each camera at its own.
        calibration: of the cameras; where one is masked out its map is empty.
        image_size: (H, W) of the network's images [px].
        bins: of the network: the range that counts.

    Returns:
        (N, H, W) float32 [m], 0 where there is none.
    """
    height, width = image_size
    cameras = len(camera_from_lidar)
    seen = translated(camera_from_lidar[:, :3, :3], points.expand(cameras, -1, 3), camera_from_lidar[:, :3, 3])
    depth = seen[..., 2]
    source = transform(calibration.intrinsics, seen) / depth[..., None]
    pixels = translated(calibration.post_rotation, source, calibration.post_translation)[..., :2].round()
    column, row = pixels.unbind(-1)
    counted = calibration.visible[:, None] & (depth >= bins.first) & (depth < bins.first + bins.step * bins.count) \
        & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    camera, point = counted.nonzero().unbind(1)
    place = (camera * height + row[camera, point].long()) * width + column[camera, point].long()
    nearest = torch.full((cameras * height * width,), torch.inf)
    nearest.scatter_reduce_(0, place, depth[camera, point], 'amin')
    return nearest.masked_fill_(nearest.isinf(), 0.0).view(-1, height, width)

