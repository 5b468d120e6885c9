"""One optimiser step after the other over the slots' streams; everything that a run must remember is here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.prepare import lay_out
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.registry import find
from gdfusion_ros.model.zoo import fresh_network
from gdfusion_ros.training.average import WeightAverage
from gdfusion_ros.training.examples import Example
from gdfusion_ros.training.settings import TrainingSettings

_WARMUP_START = 1e-3

_STATISTICS_MOMENTUM = 0.02
"""Of batch normalisation: a frame is a batch, so the statistics are of some fifty frames of several scenes."""

_CAMERA_STEPS = 100
"""Steps in which the statistics of the cameras' parameters are gathered. Normalised by its own statistics, a frame
would not tell what its cameras have in common, their height for one."""


def starting_network(settings: TrainingSettings, device: torch.device) -> OccupancyNetwork:
    """The network that a training begins with.

    Raises:
        GdfusionError: unknown model, or initial weights that are missing or do not fit.
    """
    if settings.initial_weights and not (path := find(settings.initial_weights)).exists():
        raise GdfusionError(
            f"setting 'initial_weights': there is no checkpoint {path}; 'make weights' makes those of "
            'config/train_nano*.yaml, --set initial_weights=FILE takes others'
        )
    return fresh_network(
        settings.model, settings.cues, settings.seed, settings.initial_weights, device, settings.fresh_cues
    )


class Trainer:
    """The network, its optimiser, the average of its weights, and the memory of every slot.

    Attributes:
        done: Steps so far.
        network: In training.
        average: What the run gives.
    """

    def __init__(self, network: OccupancyNetwork, settings: TrainingSettings, *, distributed: bool = False) -> None:
        """``network`` is fresh and on its device; ``distributed`` averages gradients over torch's process group."""
        self.done = 0
        network.autocast = settings.precision == 'autocast'
        self.network = network.train()
        self.average = WeightAverage(network, settings.average_decay)
        self._settings = settings
        lay_out(network)
        self._objective = settings.objective.build(network).to(network.device)
        # Where a cue is switched off, its weights take no part.
        self._parallel = DistributedDataParallel(self._objective, find_unused_parameters=True) if distributed else None
        self._optimizer = torch.optim.AdamW(
            self._objective.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._scaler = torch.amp.GradScaler('cuda', enabled=network.autocast and network.device.type == 'cuda')
        self._states: list[SequenceState | None] = [None] * settings.slots
        for norm in _norms(network):
            norm.train(not norm.num_batches_tracked)
            norm.momentum = _STATISTICS_MOMENTUM
        network.camera_statistics().momentum = None  # the mean of all

    def step(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Learn from one example of each slot whose turn it is.

        Returns:
            The losses by name, averaged over the examples, on the network's device.
        """
        totals: dict[str, Tensor] = {}
        self._freeze_statistics()
        for group in self._optimizer.param_groups:
            group['lr'] = learning_rate(self._settings, self.done)
        self._optimizer.zero_grad(set_to_none=True)
        first = self.done % self._settings.turns * self._settings.frames_per_step
        for slot, example in enumerate(examples, start=first):
            with self._together(last=slot == first + len(examples) - 1):
                state = self._states[slot] if self._settings.history and not example.start else None
                seen = example.to(self.network.device)
                found, state = (self._parallel or self._objective)(
                    seen.frame, seen.truth, state, self.done / self._settings.steps
                )
                self._scaler.scale(sum(found.values()) / len(examples)).backward()
            self._states[slot] = self._carried_on(state)
            for name, loss in found.items():
                totals[name] = totals.get(name, 0) + loss.detach() / len(examples)
        self._update()
        return totals

    def _carried_on(self, state: SequenceState) -> SequenceState:
        early = self.done < self._settings.history_from * self._settings.steps
        return self.network.without_history(state) if early else state

    def _freeze_statistics(self) -> None:
        """In time, go on with those of many frames together, not each frame's own."""
        if self.done >= _CAMERA_STEPS:
            self.network.camera_statistics().eval()
        if self.done >= self._settings.statistics_steps:
            for norm in _norms(self.network):
                norm.eval()

    def _together(self, *, last: bool) -> AbstractContextManager[object]:
        """Gradients are exchanged between processes once a step, with the last slot's."""
        if self._parallel is not None and not last:
            return self._parallel.no_sync()
        return nullcontext()

    def _update(self) -> None:
        self._scaler.unscale_(self._optimizer)
        if self._settings.clip_norm:
            nn.utils.clip_grad_norm_(self._objective.parameters(), self._settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.done += 1
        self.average.update(self.network, self.done)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run needs to go on, apart from the slots' memory: tensors and plain values."""
        return {
            'done': self.done,
            'objective': self._objective.state_dict(),
            'average': self.average.network.state_dict(),
            'optimizer': self._optimizer.state_dict(),
            'scaler': self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave.

        Raises:
            GdfusionError: it is of another network.
        """
        try:
            self._objective.load_state_dict(state['objective'])
            self.average.network.load_state_dict(state['average'])
            self._optimizer.load_state_dict(state['optimizer'])
            self._scaler.load_state_dict(state['scaler'])
            self.done = state['done']
        except (KeyError, RuntimeError, ValueError) as error:
            raise GdfusionError(f'the checkpoint does not fit the network: {str(error).splitlines()[0]}') from error

    @property
    def memory(self) -> list[SequenceState | None]:
        """The slots' recurrent states."""
        return self._states

    @memory.setter
    def memory(self, states: Sequence[SequenceState | None]) -> None:
        if len(states) != len(self._states):
            raise GdfusionError(f'the checkpoint has {len(states)} slots, the settings {len(self._states)}')
        self._states = [None if state is None else state.to(self.network.device) for state in states]


def _norms(network: OccupancyNetwork) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Of the step with that index: a linear warm-up, then half a cosine to the final one."""
    if step < settings.warmup_steps:
        share = step / settings.warmup_steps
        return settings.learning_rate * (_WARMUP_START + (1 - _WARMUP_START) * share)
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    swing = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + swing * (1 + math.cos(math.pi * share)) / 2
