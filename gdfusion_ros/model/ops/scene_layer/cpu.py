"""The scene layer's work on each voxel in one compiled pass."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from gdfusion_ros.model.ops.compiled import ONE, ZERO, Float, Floats, inlined, kernel, share_threads
from gdfusion_ros.model.ops.scene_layer import reference

EPSILON = Float(reference.EPSILON)
BLOCK = 256
"""Voxels whose sums are taken together, whatever the number of threads, so that it changes no bit."""


def loss_slopes(mapped: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """See ``gdfusion_ros.model.ops.scene_layer.loss_slopes``."""
    share_threads()
    voxels, channels = len(mapped), len(scale)
    slopes = mapped.new_empty(voxels, channels)
    sums = mapped.new_zeros(-(-voxels // BLOCK), 3, channels)
    _loss_slopes(mapped.contiguous().numpy(), scale.contiguous().numpy(), slopes.numpy(), sums.numpy())
    return slopes, sums.sum(0)


def normed_onto(mapped: Tensor, scale: Tensor) -> Tensor:
    """See ``gdfusion_ros.model.ops.scene_layer.normed_onto``."""
    share_threads()
    output = torch.empty(len(mapped), len(scale))
    _normed_onto(mapped.contiguous().numpy(), scale.contiguous().numpy(), output.numpy())
    return output


@inlined
def _product(a: Floats, b: Floats) -> Float:
    """The scalar product, in eight running sums: the compiler may not reorder one, but makes a vector of these."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = ZERO
    eights = len(a) // 8 * 8
    for c in range(0, eights, 8):
        s0 += a[c] * b[c]
        s1 += a[c + 1] * b[c + 1]
        s2 += a[c + 2] * b[c + 2]
        s3 += a[c + 3] * b[c + 3]
        s4 += a[c + 4] * b[c + 4]
        s5 += a[c + 5] * b[c + 5]
        s6 += a[c + 6] * b[c + 6]
        s7 += a[c + 7] * b[c + 7]
    for c in range(eights, len(a)):
        s0 += a[c] * b[c]
    total: Float = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    return total


@inlined
def _inverse_std(centred: Floats, share: Float) -> Float:
    inverse: Float = ONE / np.sqrt(_product(centred, centred) * share + EPSILON)
    return inverse


@kernel
def _loss_slopes(mapped: Floats, scale: Floats, slopes: Floats, sums: Floats) -> None:
    voxels, channels = slopes.shape
    share = ONE / Float(channels)
    for block in numba.prange(len(sums)):
        normed, upstream = np.empty(channels, np.float32), np.empty(channels, np.float32)
        ones = np.ones(channels, np.float32)
        total, along_scale, along_shift = sums[block, 0], sums[block, 1], sums[block, 2]
        for voxel in range(block * BLOCK, min((block + 1) * BLOCK, voxels)):
            centred, target, slope = mapped[voxel, :channels], mapped[voxel, channels:], slopes[voxel]
            inverse_std = _inverse_std(centred, share)
            for c in range(channels):
                normed[c] = centred[c] * inverse_std
                residual = scale[c] * normed[c] - target[c]
                upstream[c] = scale[c] * residual
                along_scale[c] += residual * normed[c]
                along_shift[c] += residual
            mean, slant = _product(upstream, ones) * share, _product(upstream, normed) * share
            for c in range(channels):
                slope[c] = ((upstream[c] - mean) - normed[c] * slant) * inverse_std
                total[c] += slope[c]


@kernel
def _normed_onto(mapped: Floats, scale: Floats, output: Floats) -> None:
    voxels, channels = output.shape
    share = ONE / Float(channels)
    for voxel in numba.prange(voxels):
        centred, other = mapped[voxel, :channels], mapped[voxel, channels:]
        inverse_std = _inverse_std(centred, share)
        for c in range(channels):
            output[voxel, c] = other[c] + (centred[c] * inverse_std) * scale[c]
