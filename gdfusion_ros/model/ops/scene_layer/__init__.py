"""What scene-level fusion does with each voxel between its matrix products (paper equations 7 to 13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.scene_layer import cpu, reference

F = TypeVar('F', bound=Callable[..., Tensor | tuple[Tensor, Tensor]])


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
    return _form(reference.loss_slopes, cpu.loss_slopes, mapped)(mapped, scale)


def normed_onto(mapped: Tensor, scale: Tensor) -> Tensor:
    """``scale * normed(first) + second`` (eq. 13), (n, C).

    Args:
        mapped: (n, 2 C), of each voxel the first, centred over the channels, then the second.
        scale: (C,) of the norm.
    """
    return _form(reference.normed_onto, cpu.normed_onto, mapped)(mapped, scale)


def _form(plain: F, fast: F, mapped: Tensor) -> F:
    """On a GPU the plain one: a few passes over a volume cost it little."""
    return fast if compiled.usable(mapped) else plain
