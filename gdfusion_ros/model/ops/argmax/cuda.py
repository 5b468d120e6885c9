"""The class in one Triton kernel over the voxels."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from gdfusion_ros.model.ops.triton_parts import kernel, launch, padded

BLOCK = 64


def argmax(scores: Tensor, first: int = 1) -> Tensor:
    """See ``gdfusion_ros.model.ops.argmax.argmax``."""
    scores = scores.contiguous()
    labels = scores.new_empty(scores.shape[:2], dtype=torch.uint8)
    launch(
        _argmax, labels.numel(), BLOCK, scores, labels, first, classes=scores.shape[2], width=padded(scores.shape[2])
    )
    return labels


@kernel
def _argmax(
    scores: tl.tensor,
    labels: tl.tensor,
    first: int,
    voxels: int,
    classes: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    voxel, k = tl.program_id(0) * block + tl.arange(0, block), tl.arange(0, width)
    known = voxel < voxels
    looked_at = known[:, None] & ((k >= first) & (k < classes))[None, :]
    score = tl.load(scores + voxel[:, None] * classes + k[None, :], looked_at, -float('inf'))
    label = tl.maximum(tl.argmax(score, 1), first) - first
    tl.store(labels + voxel, label.to(tl.uint8), known)
