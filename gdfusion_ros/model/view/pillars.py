"""Pillars of the bird's-eye view and where the cameras see them: the backward projection's geometry (fbocc.md §4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.model.geometry.bilinear import bilinear_corners
from gdfusion_ros.model.geometry.camera import transform, translated
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.small_matrices import inverse
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration
from gdfusion_ros.model.ops.deformable_attention import Views
from gdfusion_ros.model.runtime.upload import upload
from gdfusion_ros.model.view.lift import placement

MIN_DEPTH = 1e-5
"""Of a point that a camera sees [m]; what lies nearer or behind is projected as if it were there."""

MARGIN = 1e-5
"""Of the image's border, in its size, on which nothing is seen."""


@dataclass(frozen=True, eq=False)
class ProjectedPillars:
    """Q pillars with A points each in N cameras.

    Attributes:
        places: (N, Q, A, 2) u, v in the image's size, 0 to 1 inside.
        depths: (N, Q, A) along the optical axis [m].
        seen: (N, Q, A) bool.
    """

    places: Tensor
    depths: Tensor
    seen: Tensor


@dataclass(frozen=True, eq=False)
class PillarViews:
    """Which pillar is seen where, and how to look up the depth distributions there.

    Attributes:
        views: of the pillars in the feature maps of the cameras, an anchor a point.
        bins: (V, A, 4) int64 corners of the bilinear sample of the bin that each point lies in, in the flattened
            (N, D, h, w) distributions.
        shares: (V, A, 4) of the corners.
    """

    views: Views
    bins: Tensor
    shares: Tensor

    def to(self, device: torch.device) -> PillarViews:
        """The same on another device."""
        return PillarViews(self.views.to(device), upload(self.bins, device), upload(self.shares, device))

    def probabilities(self, distribution: Tensor) -> Tensor:
        """(V, A) probability that what is seen there is as far as the point; ``distribution`` is (N, D, h, w)."""
        return (distribution.reshape(-1)[self.bins] * self.shares).sum(-1)


def pillar_points(grid: VoxelGrid, heights: int) -> Tensor:
    """(Y X, heights, 3) points [m] in the middle of each column of the grid, y outer, and of its equal slices."""
    (x, y, _), (dx, dy, dz) = grid.shape, grid.voxel_size
    counts, sizes = (x, y, heights), (dx, dy, dz * grid.shape[2] / heights)
    axes = [
        low + size / 2 + size * torch.arange(count, dtype=torch.float32)
        for low, size, count in zip(grid.lower, sizes, counts, strict=True)
    ]
    along_y, along_x, along_z = torch.meshgrid(axes[1], axes[0], axes[2], indexing='ij')
    return torch.stack([along_x, along_y, along_z], -1).flatten(0, 1)


def project(points: Tensor, calibration: Calibration, image_size: tuple[int, int]) -> ProjectedPillars:
    """(Q, A, 3) points in the volume's frame [m] -> where they lie in the images of size (H, W)."""
    cameras = placement(calibration)
    ego = transform(inverse(cameras.bda)[None], points[None]).expand(len(calibration.visible), -1, -1, -1)
    source = transform(inverse(cameras.rotation), ego - cameras.translation[:, None, None])
    depths = source[..., 2:]
    pixels = torch.cat([source[..., :2] / depths.clamp(min=MIN_DEPTH), depths], -1)
    pixels = translated(calibration.post_rotation, pixels, calibration.post_translation)
    places, depths = pixels[..., :2] / torch.tensor([float(image_size[1]), float(image_size[0])]), pixels[..., 2]
    inside = ((places > MARGIN) & (places < 1 - MARGIN)).all(-1)
    return ProjectedPillars(places, depths, inside & (depths > MIN_DEPTH) & calibration.visible.view(-1, 1, 1))


def pillar_views(pillars: ProjectedPillars, cells: tuple[int, int], bins: DepthBins) -> PillarViews:
    """Each camera looks at all points of the pillars of which it sees one, those that it does not see, too [QUIRK].

    Args:
        pillars: as ``project`` gives them.
        cells: (h, w) of the features.
        bins: of the depth distributions.
    """
    height, width = cells
    looking = pillars.seen.any(-1)
    queries, cameras = looking.t().nonzero().unbind(1)
    starts = F.pad(looking.sum(0).cumsum(0), (1, 0))
    anchors = pillars.places[cameras, queries] * torch.tensor([float(width), float(height)]) - 0.5
    depths = pillars.depths[cameras, queries]
    bin_of = ((depths - bins.first) / bins.step).floor().clamp(0, bins.count - 1).long()
    corners, shares = bilinear_corners(anchors, cells)
    maps = cameras[:, None] * bins.count + bin_of
    return PillarViews(Views(starts, queries, cameras, anchors), maps[..., None] * (height * width) + corners, shares)
