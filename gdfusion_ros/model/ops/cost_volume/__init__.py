"""Cost volume: how well each depth bin of a cell matches the same camera's previous image (bevdetocc_gf.md §2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.ops.backends import select
from gdfusion_ros.model.ops.cost_volume import cpu, reference


def cost_volume(
    current: Tensor, previous: Tensor, reprojection: Reprojection, image_size: tuple[int, int], depths: Tensor
) -> Tensor:
    """Probability of each depth bin from the match of the two images' features.

    The cost of a bin is the L1 distance between a cell's feature and the previous image's feature where the bin's point
    is seen there, plus 5 where the latter is exactly zero in the first channel of the last group of four [QUIRK 3].

    Args:
        current: (N, C, h, w) features of the images, channels_last memory.
        previous: the same of the previous images. A camera that is not remembered is matched with itself instead.
        reprojection: from each camera's pixels into its previous image.
        image_size: (H, W) of the network's images [px].
        depths: (D,) of the bins [m], on the features' device.

    Returns:
        (N, D, h, w) softmax over the bins of the negative cost.
    """
    matching_cost = select(reference.matching_cost, cpu.matching_cost, current, previous)
    cost = matching_cost(current, previous, reprojection, image_size, depths)
    # Over the bins where they lie side by side in memory.
    return torch.softmax(-cost.permute(0, 2, 3, 1), -1).permute(0, 3, 1, 2)
