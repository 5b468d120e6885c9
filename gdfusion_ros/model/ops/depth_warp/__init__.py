"""The previous images' depth, sampled where the current bins lie in it (paper equation 18; bevdetocc_gf.md §3.1)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.depth_warp import cpu, reference


def depth_warp(
    history: Tensor, frustum: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """Trilinear samples over bins, rows and columns, zero outside: (N, D, h, w).

    Args:
        history: (N, D, h, w) of the previous images; that of a camera that is not remembered is not taken.
        frustum: (N, D, h, w, 3) as ``camera_points`` gives them for the current frame.
        reprojection: into the previous images.
        image_size: (H, W) of the network's images [px].
        depths: (D,) of the evenly spaced bins [m], on the history's device.
    """
    warped = select(reference.depth_warp, cpu.depth_warp, history, frustum)
    return warped(history, frustum, reprojection, image_size, depths)
