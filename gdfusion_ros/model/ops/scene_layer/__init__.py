"""What scene-level fusion does with each voxel between its matrix products (paper equations 7 to 13)."""

from __future__ import annotations

from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.scene_layer import cpu, reference


def loss_slopes(mapped: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How the loss of each voxel changes with its mapped values, and the sums of that over the voxels.

    The loss is half the squared residual ``scale * normed(W Q_1 V + b) - target`` (eq. 7), where ``normed`` is the
    normalisation over the channels and ``target`` is what the residual is taken from, less the norm's shift.

    Args:
        mapped: (n, 2 C), of each voxel W Q_1 V + b, centred over the channels, then the target.
        scale: (C,) of the norm.

    Returns:
        (n, C) slopes along W Q_1 V + b; (3, C) sums of those, and of the slopes along the norm's scale and shift.
    """
    # A few passes over a volume cost a GPU little.
    slopes = cpu.loss_slopes if compiled.usable(mapped) else reference.loss_slopes
    return slopes(mapped, scale)


def normed_onto(mapped: Tensor, scale: Tensor) -> Tensor:
    """``scale * normed(first) + second`` (eq. 13), (n, C).

    Args:
        mapped: (n, 2 C), of each voxel the first, centred over the channels, then the second.
        scale: (C,) of the norm.
    """
    normed = cpu.normed_onto if compiled.usable(mapped) else reference.normed_onto
    return normed(mapped, scale)
