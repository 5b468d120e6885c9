"""Batch normalisation folded into the convolution before it, by the modules that own both."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, TypeVar, runtime_checkable

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Conv = TypeVar('Conv', bound=nn.Module)
NORMS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d,
                                            nn.ConvTranspose3d: nn.BatchNorm3d}


@runtime_checkable
class Fusible(Protocol):
    """A module that knows what in it can be computed at once; its parts fuse themselves."""

    def fuse(self) -> None:
        """Fold what is constant in evaluation mode; nothing but rounding changes."""


def folded(conv: Conv, norm: nn.Module) -> Conv:
    """One convolution that gives what ``conv`` and then ``norm`` give, in evaluation mode; computed in float64.

    It is ``conv`` itself where ``norm`` is the identity, as in what is fused already.
    """
    if isinstance(norm, nn.Identity):
        return conv
    transpose = isinstance(conv, nn.ConvTranspose3d)
    fused: Conv = fuse_conv_bn_eval(conv.double(), norm.double(), transpose).float()  # type: ignore[type-var, arg-type]
    return fused


class FusibleSequential(nn.Sequential):
    """Layers one after the other, of which normalisations that follow a convolution are folded into it."""

    def fuse(self) -> None:
        """Fold."""
        for index, (conv, norm) in enumerate(pairwise(list(self))):
            if isinstance(norm, NORMS.get(type(conv), ())):
                self[index], self[index + 1] = folded(conv, norm), nn.Identity()
