"""The scene layer's work on each voxel in plain torch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to the variance."""


def loss_slopes(mapped: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """See ``gdfusion_ros.model.ops.scene_layer.loss_slopes``."""
    centred, target = mapped.chunk(2, -1)
    inverse_std = _inverse_std(centred)
    normed = centred * inverse_std
    residual = scale * normed - target
    upstream = scale * residual
    product = upstream * normed
    slopes = upstream - upstream.mean(-1, keepdim=True)
    slopes = (slopes - normed * product.mean(-1, keepdim=True)) * inverse_std
    return slopes, torch.stack([slopes.sum(0), (residual * normed).sum(0), residual.sum(0)])


def normed_onto(mapped: Tensor, scale: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.scene_layer.normed_onto``."""
    centred, other = mapped.chunk(2, -1)
    return torch.addcmul(other, centred * _inverse_std(centred), scale)


def _inverse_std(centred: Tensor) -> Tensor:
    return (centred.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
