"""Which layers are put into 8 bits: measured, not guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.quantization.calibration import LayerUse, Step, labels_of
from gdfusion_ros.model.quantization.layers import Float, InputRange, chain, quantized


@dataclass(frozen=True)
class LayerReport:
    """A layer that could have 8 bits.

    Attributes:
        name: in the network.
        work: share of the multiplications of all of these layers.
        given: what its 256 steps are for.
        error: of what it gives, alone in 8 bits, as a share of that: root mean square.
        changed: share of the voxels that get another class if it alone has 8 bits.
        chosen: whether it has 8 bits.
    """

    name: str
    work: float
    given: InputRange
    error: float
    changed: float
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        layers: all that could have 8 bits, in the order of the network.
        agreement: share of the voxels that get the class that they had.
    """

    layers: tuple[LayerReport, ...]
    agreement: float


def quantize(
    network: OccupancyNetwork,
    uses: Mapping[str, LayerUse],
    steps: Sequence[Step],
    agreement: float,
    on_trial: Callable[[], object] = lambda: None,
) -> Choice:
    """Put into 8 bits all layers but the fewest that must keep theirs so that the classes stay.

    Each layer is tried alone first, with ever narrower ranges as long as these keep more classes: steps that are wide
    enough for a few high values lose more everywhere else. Then all are put into 8 bits, and the one that changed most
    for its work gets its floats back, until at least the share ``agreement`` of the voxels has the class that it had.

    Args:
        network: prepared (``runtime.prepare``); it is changed.
        uses: see ``calibration.observe``.
        steps: frames that the classes are compared on.
        agreement: 0..1.
        on_trial: told after every layer that was tried.
    """
    wanted = list(labels_of(network, steps))
    whole = sum(use.work for use in uses.values())
    floats: dict[str, Float] = {name: network.get_submodule(name) for name in uses}  # type: ignore[misc]

    def tried(name: str, given: InputRange) -> _Trial:
        trial = quantized(floats[name], given)
        error = _Error(floats[name])
        trial.register_forward_hook(error)
        put(network, name, trial)
        changed = 1 - _agreement(network, steps, wanted)
        put(network, name, floats[name])
        return _Trial(given, changed, error.share())

    alone = {}
    for name, use in uses.items():
        best = tried(name, use.given)
        while (narrower := tried(name, best.given.narrowed())).changed < best.changed:
            best = narrower
        alone[name] = best
        on_trial()
    worst_last = sorted(uses, key=lambda name: alone[name].changed / uses[name].work)
    for name, trial in alone.items():
        put(network, name, quantized(floats[name], trial.given))
    while (found := _agreement(network, steps, wanted)) < agreement and worst_last:
        name = worst_last.pop()
        put(network, name, floats[name])
    chosen = set(worst_last)
    return Choice(
        tuple(
            LayerReport(name, uses[name].work / whole, trial.given, trial.error, trial.changed, name in chosen)
            for name, trial in alone.items()
        ),
        found,
    )


def put(network: nn.Module, name: str, module: nn.Module) -> None:
    """Let ``module`` be the network's part of that name."""
    parent, _, last = name.rpartition('.')
    setattr(network.get_submodule(parent), last, module)


class _Trial(NamedTuple):
    """A layer alone in 8 bits: what its steps are for, the share of the voxels that change, and its error."""

    given: InputRange
    changed: float
    error: float


class _Error:
    """What a layer in 8 bits gives, compared with what ``layer`` would."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._wrong = self._right = 0.0

    def __call__(self, _: nn.Module, args: tuple[Tensor, ...], given: Tensor) -> None:
        right = self._layer(*args)
        self._wrong += float((given - right).square().sum())
        self._right += float(right.square().sum())

    def share(self) -> float:
        return math.sqrt(self._wrong / self._right) if self._right else 0.0


def _agreement(network: OccupancyNetwork, steps: Sequence[Step], wanted: Sequence[Tensor]) -> float:
    chain(network)
    same = [
        float((labels == others).float().mean())
        for labels, others in zip(labels_of(network, steps), wanted, strict=True)
    ]
    return sum(same) / len(same)
