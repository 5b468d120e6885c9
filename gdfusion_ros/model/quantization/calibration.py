"""What the layers of a network are given, seen on frames of real sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gdfusion_ros.model.network import FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.quantization.layers import InputRange

LEAST_WORK = 10_000_000
"""Multiplications of a layer that are worth a rounding."""

_BINS = 2048
_CANDIDATES = 64


@dataclass(frozen=True, eq=False)
class Step:
    """What the network is given at one frame.

    Attributes:
        begins: whether it is the first of a sequence.
        images, geometry, lidar_depth: see OccupancyNetwork.
    """

    begins: bool
    images: Tensor
    geometry: FrameGeometry
    lidar_depth: Tensor | None


@contextmanager
def recorded(network: OccupancyNetwork) -> Iterator[list[Step]]:
    """What the network is given while this is open."""
    steps: list[Step] = []

    def note(_: nn.Module, args: tuple[Any, ...]) -> None:
        images, geometry, state, lidar_depth = (*args, None, None)[:4]
        steps.append(Step(state is None, images, geometry, lidar_depth))

    handle = network.register_forward_pre_hook(note)
    try:
        yield steps
    finally:
        handle.remove()


def labels_of(network: OccupancyNetwork, steps: Iterable[Step]) -> Iterator[Tensor]:
    """The classes that the network gives to every voxel, frame by frame."""
    state = None
    for step in steps:
        with torch.inference_mode():  # not round the loop: whoever is given a frame's would have it, too
            prediction, state = network(step.images, step.geometry, None if step.begins else state, step.lidar_depth)
        yield prediction.labels


@dataclass
class _Seen:
    """What came into one layer: extremes, a histogram of the last pass, and the work that a frame is."""

    lower: float = 0.0
    upper: float = 0.0
    work: int = 0
    counts: Tensor = field(default_factory=lambda: torch.zeros(_BINS, dtype=torch.float64))


@dataclass(frozen=True)
class LayerUse:
    """How the network uses a layer.

    Attributes:
        given: what it is given, cut off where that costs least.
        work: its multiplications in one frame.
    """

    given: InputRange
    work: int


def observe(network: OccupancyNetwork, steps: Sequence[Step]) -> dict[str, LayerUse]:
    """The layers that 8 bits are worth, by name, in the order of the network.

    Of each, the range that loses least: a histogram of all that it is given says which squared error a step of that
    size, and cutting off what lies outside, would make.
    """
    layers = {name: module for name, module in network.named_modules() if _is_candidate(module)}
    seen = {name: _Seen() for name in layers}
    for look in (_extremes, _histogram):  # bins are of extremes, so these come first
        hooks = [module.register_forward_pre_hook(partial(_hook, look, seen[name])) for name, module in layers.items()]
        for _ in labels_of(network, steps):
            pass
        for hook in hooks:
            hook.remove()
    frames = max(len(steps), 1)
    return {
        name: LayerUse(_best_range(what), what.work // frames)
        for name, what in seen.items()
        if what.work // frames >= LEAST_WORK
    }


def _is_candidate(module: nn.Module) -> bool:
    if isinstance(module, (nn.Conv2d, nn.Conv3d)):
        return module.groups == 1 and isinstance(module.padding, tuple)
    return isinstance(module, nn.Linear)


def _hook(
    look: Callable[[_Seen, nn.Module, Tensor], None], seen: _Seen, module: nn.Module, args: tuple[Tensor, ...]
) -> None:
    look(seen, module, args[0].detach())


def _extremes(seen: _Seen, module: nn.Module, given: Tensor) -> None:
    lower, upper = given.aminmax()
    seen.lower, seen.upper = min(seen.lower, float(lower)), max(seen.upper, float(upper))
    weight = module.get_parameter('weight')
    cells = given.numel() // given.shape[-1 if isinstance(module, nn.Linear) else 1]
    stride = getattr(module, 'stride', (1,))
    for along in stride:
        cells //= along
    seen.work += cells * weight.numel()


def _histogram(seen: _Seen, _: nn.Module, given: Tensor) -> None:
    if seen.upper > seen.lower:
        seen.counts += torch.histc(given.float(), _BINS, seen.lower, seen.upper)


def _best_range(seen: _Seen) -> InputRange:
    """The range, by a share of the extremes, with the least squared error."""
    values = torch.linspace(seen.lower, seen.upper, 2 * _BINS + 1, dtype=torch.float64)[1::2]

    def error(share: float) -> float:
        lower, upper = seen.lower * share, seen.upper * share
        beyond = (values - values.clamp(lower, upper)).square()
        return float((seen.counts * (beyond + ((upper - lower) / 255) ** 2 / 12)).sum())

    share = min((index / _CANDIDATES for index in range(1, _CANDIDATES + 1)), key=error)
    return InputRange(seen.lower * share, seen.upper * share)
