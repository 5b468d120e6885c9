"""A whole training run in its folder: steps, checkpoints, validations, log, the weights that come of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from gdfusion_ros.datasets.nuscenes import SYNTHETIC, Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.files import written_whole
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.runtime.malloc import keep_freed_memory
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.checkpoint import save_checkpoint
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.weights.torch_files import require_loadable
from gdfusion_ros.stopping import stop_signals
from gdfusion_ros.training import settings as training_settings
from gdfusion_ros.training.examples import Example, Examples
from gdfusion_ros.training.journal import Journal
from gdfusion_ros.training.loading import load
from gdfusion_ros.training.processes import Processes
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Stream
from gdfusion_ros.training.trainer import Trainer, learning_rate
from gdfusion_ros.training.validation import own_items, validate

T = TypeVar('T')

LOG_EVERY = 20


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what it makes."""

    path: Path

    @property
    def settings(self) -> Path:
        """The settings, with their meanings."""
        return self.path / 'settings.yaml'

    @property
    def checkpoint(self) -> Path:
        """Everything that the run needs to go on."""
        return self.path / 'checkpoint.pt'

    @property
    def weights(self) -> Path:
        """The averaged weights, for the node."""
        return self.path / 'weights.safetensors'

    @property
    def log(self) -> Path:
        """TensorBoard's files."""
        return self.path / 'log'

    @property
    def curves(self) -> Path:
        """Losses and validations as a picture."""
        return self.path / 'curves.png'


class TrainingListener(Protocol):
    """Who is told how a run goes on."""

    def step(self, loss: float | None) -> None:
        """A step is done; its loss is told at the first, the last and every LOG_EVERY-th."""

    def validating(self, frames: int, of: int) -> None:
        """So many key frames of this process's share of a validation are done."""

    def validated(self, step: int, matrix: ConfusionMatrix) -> None:
        """A validation is done."""


@dataclass(frozen=True, eq=False)
class Data:
    """What a run learns from and is validated on."""

    training: Sequence[Dataset]
    validation: Sequence[Dataset]

    @property
    def about(self) -> str:
        """What is learned from, in words."""
        made = {
            'the synthetic world' if dataset.version == SYNTHETIC else f'nuScenes {dataset.version}'
            for dataset in self.training
        }
        return ' and '.join(sorted(made))


@dataclass(frozen=True)
class TrainingResult:
    """What a run has done: steps in all, seconds of this process, and the share of them that it waited for data."""

    steps: int
    seconds: float
    waiting: float


class Run:
    """A training run; ``Run(…).train(…)`` goes on from its folder's checkpoint, if there is one."""

    def __init__(
        self, network: OccupancyNetwork, settings: TrainingSettings, data: Data, folder: RunFolder, processes: Processes
    ) -> None:
        """``network`` is fresh, on its device. Raises GdfusionError where the folder's checkpoint does not fit."""
        self._settings, self._folder, self._processes = settings, folder, processes
        self._facts = WeightsMetadata(settings.model, data.about)
        self._trainer = Trainer(network, settings, distributed=processes.count > 1)
        self._examples = Examples(data.training, network.spec, settings, augment=True)
        self._validation = Examples(data.validation, network.spec, settings, augment=False)
        if not self._examples.lengths:
            raise GdfusionError('the training data has no key frames')
        entries = self._resume() if folder.checkpoint.exists() else []
        self._journal = Journal(folder.log, entries) if processes.first else None

    @property
    def done(self) -> int:
        """Steps so far."""
        return self._trainer.done

    @property
    def network(self) -> OccupancyNetwork:
        """What the run gives: the averaged weights."""
        return self._trainer.average.network

    def train(self, listener: TrainingListener) -> TrainingResult:
        """Take the steps that are left, and validate.

        Raises:
            GdfusionError: a file of the data cannot be read, or an output not be written.
            KeyboardInterrupt: it was asked to stop, or another of its processes had to. In both cases what was learned
                is in the checkpoint.
        """
        start, waited, first = time.perf_counter(), 0.0, self.done
        with _stop_requests() as stop_requested:
            self._begin()
            batches = stream(self._examples, self._settings, self._processes, self.done, self._trainer.network.device)
            while self.done < self._settings.steps:
                asked = time.perf_counter()
                examples = self._together(lambda: list(islice(batches, self._settings.frames_per_step)), stop_requested)
                waited += time.perf_counter() - asked
                self._learn(examples, listener)
                if self.done == first + 1:
                    keep_freed_memory()  # what libraries keep of all steps lies close together by now
                if self.done % self._settings.checkpoint_every == 0:
                    self._save()
                every = self._settings.validate_every
                if self._validation.lengths and every and self.done % every == 0 and self.done < self._settings.steps:
                    self._validate(listener, stop_requested)
            self._save()
            if self._validation.lengths:
                self._validate(listener, stop_requested)
                self._save()
        if self._journal is not None:
            self._journal.close()
        seconds = time.perf_counter() - start
        return TrainingResult(self.done, seconds, waited / seconds)

    def _begin(self) -> None:
        """From here on the run can be gone on with."""
        if self._processes.first:
            with written_whole(self._folder.settings) as draft:
                draft.write_text(training_settings.text(self._settings))
        if not self.done:
            self._save()

    def _together(self, action: Callable[[], T], stop_requested: Callable[[], bool]) -> T:
        """``action()`` in every process. Where one of them fails or is to stop, all end; what is learned is kept."""
        found: T | None = None
        failure: BaseException | None = None
        try:
            found = action()
        except (GdfusionError, KeyboardInterrupt) as error:
            failure = error
        if stop_requested():
            failure = failure or KeyboardInterrupt()
        if any(self._processes.gathered(failure is not None)):
            self._save()
            raise failure or KeyboardInterrupt
        assert found is not None
        return found

    def _learn(self, examples: Sequence[Example], listener: TrainingListener) -> None:
        rate = learning_rate(self._settings, self.done)
        found = self._trainer.step(examples)
        if self.done % LOG_EVERY == 0 or self.done in (1, self._settings.steps):
            losses = {f'loss/{name}': float(value) for name, value in found.items()}
            if self._journal is not None:
                self._journal.add(self.done, {**losses, 'learning rate/learning rate': rate})
            listener.step(sum(losses.values()))
        else:
            listener.step(None)

    def _validate(self, listener: TrainingListener, stop_requested: Callable[[], bool]) -> None:
        """Score the averaged weights, every process on its share of the scenes."""
        frames = len(own_items(self._validation, self._processes))
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            listener.validating(done, frames)
            if stop_requested():
                raise KeyboardInterrupt

        self._processes.share(self.network)
        matrix = self._together(
            lambda: validate(self.network, self._validation, self._settings, tick, self._processes), stop_requested
        )
        matrix.counts = np.sum(self._processes.gathered(matrix.counts), axis=0)
        if self._journal is not None:
            self._journal.add(self.done, {f'validation/{name}': value for name, value in matrix.scores().items()})
            listener.validated(self.done, matrix)

    def _save(self) -> None:
        """Checkpoint, weights and curves, each written whole."""
        memories = self._processes.collected([_packed(state) for state in self._trainer.memory])
        if self._journal is not None:
            content = {
                **self._trainer.state_dict(),
                'memories': memories,
                'entries': self._journal.entries,
                'settings': training_settings.as_mapping(self._settings),
                'data': self._examples.fingerprint,
            }
            with written_whole(self._folder.checkpoint) as draft, draft.open('wb') as file:
                torch.save(content, file)  # to a file by name it says nothing of a disk that is full
            save_checkpoint(self.network, self._folder.weights, self._facts)
            self._journal.draw(self._folder.curves)
        self._processes.wait()

    def _resume(self) -> list[Any]:
        path = self._folder.checkpoint
        require_loadable(path)
        try:
            content = torch.load(path, map_location='cpu', weights_only=True)
        except Exception as error:  # the bytes of a damaged file can make an unpickler raise anything
            raise GdfusionError(
                f'checkpoint {path} cannot be read ({type(error).__name__}): without it the run begins anew'
            ) from error
        # What the run did not know had the effect of its default.
        before = {**training_settings.as_mapping(TrainingSettings()), **content['settings']}
        now = training_settings.as_mapping(self._settings)
        changed = [name for name, value in now.items() if before.get(name) != value and name not in _MAY_CHANGE]
        if changed:
            raise GdfusionError(
                f'{path} was made with other settings: {", ".join(changed)}; go on with the same ones, '
                'or choose another folder'
            )
        if content['data'] != self._examples.fingerprint:
            raise GdfusionError(
                f'{path} was made with other data; go on with the same folders and scenes, in the same order'
            )
        if len(content['memories']) != self._processes.count:
            raise GdfusionError(
                f'{path} was made by {len(content["memories"])} processes, now there are '
                f'{self._processes.count}; start as many'
            )
        self._trainer.load_state_dict(content)
        self._trainer.memory = [_unpacked(state) for state in content['memories'][self._processes.rank]]
        return list(content['entries'])


def stream(
    examples: Examples, settings: TrainingSettings, processes: Processes, first: int, device: torch.device
) -> Iterator[Example]:
    """The examples of this process's slots, turn by turn from step ``first`` on, read ahead by worker processes."""
    slots = settings.slots
    items = Stream(
        examples.lengths,
        settings.seed,
        processes.rank * slots,
        slots,
        processes.count * slots,
        (first, settings.steps),
        settings.turns,
    )
    return load(examples, items, settings.workers, device)


_MAY_CHANGE = frozenset({'workers', 'validate_every', 'checkpoint_every'})
"""Settings that do not change what is learned."""


def _packed(state: SequenceState | None) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    return None if state is None else (state.tensors(), state.structure())


def _unpacked(state: tuple[dict[str, torch.Tensor], dict[str, Any]] | None) -> SequenceState | None:
    return None if state is None else SequenceState.restored(*state)


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether a stop signal has come; within the block they do nothing else, so that no step is cut in two.

    Signals are the first thread's: in another one (Ray Train's) they are left to whoever runs it.
    """
    requested = False
    stops = stop_signals() if threading.current_thread() is threading.main_thread() else set()

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal requested
        requested = True

    before = {number: signal.signal(number, note) for number in stops}
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
