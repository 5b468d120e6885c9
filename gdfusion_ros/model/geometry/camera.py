"""Frusta, rays and projections of the cameras (bevdetocc_gf.md §2.1, §3.1, §4, §16).

Everything here is float32 in a fixed order of operations, without fused multiply-add: exact-zero tests and truncation
to voxel indices make rounding visible, so the order is part of what the published weights expect. Small matrices are
inverted and multiplied on the CPU (small_matrices.py); points may lie on any device, and each operation on them is
rounded by itself.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.small_matrices import inverse, product

if TYPE_CHECKING:
    from gdfusion_ros.model.geometry.depth_bins import DepthBins
    from gdfusion_ros.model.geometry.reprojection import Reprojection

MIN_DEPTH = 1e-3
"""Points nearer than this to the camera plane, or behind it, project to nowhere [m]."""

OUTSIDE = -2.0
"""Nowhere, in grid_sample's coordinates."""


def to_device_of(matrix: Tensor, other: Tensor) -> Tensor:
    """A small matrix on the device of ``other``, without waiting until that has caught up."""
    return matrix.to(other.device, non_blocking=True)


@cache
@torch.inference_mode(False)
def pixel_grid(image_size: tuple[int, int], feature_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixel coordinates (u of each column, v of each row) that a feature map stands for; not to be changed in place.

    They run from the first to the last pixel of the image, not over cell centres [QUIRK 8].
    """
    (height, width), (rows, columns) = image_size, feature_size
    return _spread(width, columns), _spread(height, rows)


def _spread(pixels: int, count: int) -> Tensor:
    """``count`` places evenly from 0 to the last of ``pixels``, each from the end that is nearer.

    The bits of torch.linspace with fused multiply-add, which the recordings have: the step is rounded to float32, a
    place only once. On processors without it linspace rounds twice.
    """
    places = torch.arange(count, dtype=torch.float64)
    step = (torch.tensor(float(pixels - 1)) / (count - 1)).double()
    return torch.where(places < count // 2, step * places, (pixels - 1) - step * (count - 1 - places)).float()


def transform(matrix: Tensor, points: Tensor) -> Tensor:
    """(N, 3, 3) matrices times (N, …, 3) points, summed as (m0 x + m1 y) + m2 z, on the points' device.

    In memory, all x come first, then all y and all z: runtimes of graphs take long where the last axis is short.
    """
    matrix = to_device_of(matrix, points).view(*matrix.shape, *[1] * (points.dim() - 2))
    x, y, z = points.movedim(-1, 1).unsqueeze(2).unbind(1)
    return ((matrix[:, :, 0] * x + matrix[:, :, 1] * y) + matrix[:, :, 2] * z).movedim(1, -1)


def camera_points(
    image_size: tuple[int, int],
    feature_size: tuple[int, int],
    depths: Tensor,
    source_from_input: Tensor,
    post_translation: Tensor,
) -> Tensor:
    """Every depth bin of every feature cell as (u d, v d, d) in source pixels: (N, D, h, w, 3), with ``depths``.

    Args:
        image_size: (H, W) of the network's images [px].
        feature_size: (h, w) cells.
        depths: (D,) of the bins [m].
        source_from_input, post_translation: (N, 3, 3), (N, 3): input pixel, less the translation -> source pixel.
    """
    u, v = (to_device_of(axis, depths) for axis in pixel_grid(image_size, feature_size))
    depth, v, u = torch.meshgrid(depths, v, u, indexing='ij')
    cells = torch.stack([u, v, depth], -1) - to_device_of(post_translation, depths)[:, None, None, None]
    points = transform(source_from_input, cells)
    return torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], -1)


def frustum_points(
    image_size: tuple[int, int],
    feature_size: tuple[int, int],
    bins: DepthBins,
    post_rotation: Tensor,
    post_translation: Tensor,
) -> Tensor:
    """``camera_points`` of all bins of cameras with those (N, 3, 3) and (N, 3): one for all slots, through a cache."""
    return camera_points(image_size, feature_size, bins.values(), inverse(post_rotation), post_translation)


def translated(matrix: Tensor, points: Tensor, translation: Tensor) -> Tensor:
    """``transform`` followed by the addition of (N, 3) translations."""
    return transform(matrix, points) + to_device_of(translation, points).view(-1, *[1] * (points.dim() - 2), 3)


def rays(
    u: Tensor,
    v: Tensor,
    intrinsics: Tensor,
    post_rotation: Tensor,
    post_translation: Tensor,
    volume_from_camera: Tensor,
) -> Tensor:
    """(N, h, w, 3) of the rays through columns ``u`` and rows ``v``, in the ego frame, as long as a metre of depth."""
    v, u = torch.meshgrid(v, u, indexing='ij')
    pixels = torch.stack([u, v, torch.ones_like(u)], -1) - post_translation[:, None, None]
    return transform(product(volume_from_camera[:, :3, :3], inverse(product(post_rotation, intrinsics))), pixels)


def previous_pixels(points: Tensor, reprojection: Reprojection) -> tuple[Tensor, Tensor]:
    """Where camera points fall in the same camera's previous image.

    Args:
        points: (N, …, 3) as ``camera_points`` gives them.
        reprojection: to the previous images.

    Returns:
        (N, …, 3) input pixel u, v and depth in the previous camera [m], and (N, …) whether the point lies behind it.
    """
    points = translated(reprojection.camera_from_source, points, reprojection.camera_translation)
    behind = points[..., 2] < MIN_DEPTH
    pixels = transform(reprojection.intrinsics, points)
    pixels = torch.cat([pixels[..., :2] / pixels[..., 2:], pixels[..., 2:]], -1)
    return translated(reprojection.previous_post_rotation, pixels, reprojection.previous_post_translation), behind


def normalised(pixels: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(…, 2) input pixels u, v -> grid_sample's coordinates: -1 the first, 1 the last pixel of the image.

    The divisor is a tensor on purpose: by a number, CUDA would multiply with the rounded reciprocal instead.
    """
    return pixels / to_device_of(last_pixel(image_size), pixels) * 2 - 1


def hidden(places: Tensor, away: Tensor) -> Tensor:
    """(…, n) coordinates of grid_sample, OUTSIDE where (…) ``away``; axis by axis in memory, as in ``transform``."""
    return torch.stack([axis.masked_fill(away, OUTSIDE) for axis in places.unbind(-1)]).movedim(0, -1)


@cache
@torch.inference_mode(False)
def last_pixel(image_size: tuple[int, int]) -> Tensor:
    """(2,) u, v of the last pixel of the image; not to be changed in place."""
    height, width = image_size
    return torch.tensor([width - 1.0, height - 1.0])
