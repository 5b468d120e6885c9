"""Geometry of the cameras: frusta, projection chains, and what they have in common (spec sections 2.1, 3.1, 4, 16).

Everything here is float32 in a fixed order of operations, without fused multiply-add: exact-zero tests and truncation
to voxel indices make rounding visible, so the order is part of what the published weights expect. Small matrices are
inverted and multiplied on the CPU (small_matrices.py); points may lie on any device, and each operation on them is
rounded by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from gdfusion_ros.model.small_matrices import inverse, product

T = TypeVar('T')

MIN_DEPTH = 1e-3
"""Points nearer than this to the camera plane, or behind it, project to nowhere [m]."""

OUTSIDE = -2.0
"""Nowhere, in grid_sample's coordinates."""


class Memo(Generic[T]):
    """The last value of a function of small matrices: computed again only when one of them changes."""

    def __init__(self) -> None:
        """Empty: the first call computes."""
        self._key: tuple[Tensor, ...] = ()
        self._value: T | None = None

    def __call__(self, key: tuple[Tensor, ...], compute: Callable[[], T]) -> T:
        """``compute()``, or what it gave for an equal ``key``."""
        same = len(key) == len(self._key) and all(map(torch.equal, key, self._key))
        if not same or self._value is None:
            self._value = compute()
            self._key = tuple(tensor.clone() for tensor in key)
        return self._value


def sent(matrix: Tensor, to: Tensor) -> Tensor:
    """A small matrix on the device of ``to``, without waiting until that has caught up."""
    return matrix.to(to.device, non_blocking=True)


def pixel_grid(image_size: tuple[int, int], feature_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixel coordinates (u of each column, v of each row) that a feature map stands for.

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
    """(N, 3, 3) matrices times (N, …, 3) points, summed as (m0 x + m1 y) + m2 z, on the points' device."""
    matrix = sent(matrix, points).view(matrix.shape[0], *[1] * (points.dim() - 2), 3, 3)
    x, y, z = points.unsqueeze(-2).unbind(-1)
    return (matrix[..., 0] * x + matrix[..., 1] * y) + matrix[..., 2] * z


def camera_points(image_size: tuple[int, int], feature_size: tuple[int, int], depths: Tensor,
                  post_rotation: Tensor, post_translation: Tensor) -> Tensor:
    """Every depth bin of every feature cell as (u d, v d, d) in source pixels: (N, D, h, w, 3), with ``depths``."""
    u, v = (sent(axis, depths) for axis in pixel_grid(image_size, feature_size))
    depth, v, u = torch.meshgrid(depths, v, u, indexing='ij')
    cells = torch.stack([u, v, depth], -1) - sent(post_translation, depths)[:, None, None, None]
    points = transform(inverse(post_rotation), cells)
    return torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], -1)


def translated(matrix: Tensor, points: Tensor, translation: Tensor) -> Tensor:
    """``transform`` followed by the addition of (N, 3) translations."""
    return transform(matrix, points) + sent(translation, points).view(-1, *[1] * (points.dim() - 2), 3)


def rays(u: Tensor, v: Tensor, intrinsics: Tensor, post_rotation: Tensor, post_translation: Tensor,
         ego_from_camera: Tensor) -> Tensor:
    """(N, h, w, 3) of the rays through columns ``u`` and rows ``v``, in the ego frame, as long as a metre of depth."""
    v, u = torch.meshgrid(v, u, indexing='ij')
    pixels = torch.stack([u, v, torch.ones_like(u)], -1) - post_translation[:, None, None]
    return transform(product(ego_from_camera[:, :3, :3], inverse(product(post_rotation, intrinsics))), pixels)


def previous_pixels(points: Tensor, intrinsics: Tensor, previous_camera_from_camera: Tensor,
                    post_rotation: Tensor, post_translation: Tensor) -> tuple[Tensor, Tensor]:
    """Where camera points fall in the same camera's previous image.

    Args:
        points: (N, …, 3) as ``camera_points`` gives them.
        intrinsics: (N, 3, 3) of the current image; the previous image's are taken to be the same.
        previous_camera_from_camera: (N, 4, 4).
        post_rotation, post_translation: source pixel -> input pixel of the previous image.

    Returns:
        (N, …, 3) input pixel u, v and depth in the previous camera [m], and (N, …) whether the point lies behind it.
    """
    rotation, translation = previous_camera_from_camera[:, :3, :3], previous_camera_from_camera[:, :3, 3]
    points = translated(product(rotation, inverse(intrinsics)), points, translation)
    behind = points[..., 2] < MIN_DEPTH
    pixels = transform(intrinsics, points)
    pixels = torch.cat([pixels[..., :2] / pixels[..., 2:], pixels[..., 2:]], -1)
    return translated(post_rotation, pixels, post_translation), behind


def normalised(pixels: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(…, 2) input pixels u, v -> grid_sample's coordinates: -1 the first, 1 the last pixel of the image.

    The divisor is a tensor on purpose: by a number, CUDA would multiply with the rounded reciprocal instead.
    """
    height, width = image_size
    return pixels / sent(torch.tensor([width - 1.0, height - 1.0]), pixels) * 2 - 1
