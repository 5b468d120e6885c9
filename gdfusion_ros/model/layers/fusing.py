"""Batch normalisation folded into the convolution before it, by the modules that own both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

Conv = TypeVar('Conv', bound=nn.Module)
TRANSPOSED = nn.ConvTranspose2d, nn.ConvTranspose3d
NORMS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
    nn.ConvTranspose2d: nn.BatchNorm2d,
    nn.ConvTranspose3d: nn.BatchNorm3d,
}


@runtime_checkable
class Fusible(Protocol):
    """A module that knows what in it can be computed at once; its parts fuse themselves."""

    def fuse(self) -> None:
        """Fold what is constant in evaluation mode; nothing but rounding changes."""


@runtime_checkable
class Chained(Protocol):
    """A module that knows which of its layers alone see what another one gives, through nothing but a ReLU."""

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """The one that gives and the one that sees, once all is fused."""


class Mergeable(nn.Module, ABC):
    """A module of which files have two forms, as trained and re-parameterised; it is made in the first."""

    @property
    @abstractmethod
    def merged(self) -> bool:
        """Whether it has the second form."""

    @abstractmethod
    def merge(self) -> None:
        """Take the second form; nothing but rounding changes."""


def folded(conv: Conv, norm: nn.Module) -> Conv:
    """One convolution that gives what ``conv`` and then ``norm`` give, in evaluation mode; computed in float64.

    It is ``conv`` itself where ``norm`` is the identity, as in what is fused already.
    """
    if isinstance(norm, nn.Identity):
        return conv
    assert isinstance(norm, _BatchNorm)
    transpose = isinstance(conv, TRANSPOSED)
    fused: Conv = fuse_conv_bn_eval(conv.double(), norm.double(), transpose).float()  # type: ignore[type-var]
    return fused


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What batch normalisation is in evaluation mode: a factor and a summand a channel; float64."""
    assert isinstance(norm, _BatchNorm)
    weight, bias = norm.get_parameter('weight').double(), norm.get_parameter('bias').double()
    mean, variance = norm.get_buffer('running_mean').double(), norm.get_buffer('running_var').double()
    scale = weight / torch.sqrt(variance + norm.eps)
    return scale, bias - mean * scale


class FusibleSequential(nn.Sequential):
    """Layers one after the other, of which normalisations that follow a convolution are folded into it."""

    def fuse(self) -> None:
        """Fold."""
        for index, (conv, norm) in enumerate(pairwise(list(self))):
            if isinstance(norm, NORMS.get(type(conv), ())):
                self[index], self[index + 1] = folded(conv, norm), nn.Identity()

    def chains(self) -> Sequence[tuple[nn.Module, nn.Module]]:
        """Every two convolutions between which there is a ReLU."""
        layers = [layer for layer in self if not isinstance(layer, nn.Identity)]
        threes = zip(layers, layers[1:], layers[2:], strict=False)
        return [(first, second) for first, between, second in threes if isinstance(between, nn.ReLU)]
