"""How fast a training goes, and how long it waits for data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gdfusion_ros.benchmark.network import synchronize
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.processes import ALONE
from gdfusion_ros.training.run import stream
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.trainer import Trainer, starting_network

WARM_UP = 3
"""Steps that are not measured: worker processes start, kernels compile."""


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        model, device: what was trained where.
        steps: how many were measured.
        frames_per_second: examples learned from, all slots together.
        waiting: share of the time that the trainer waited for examples.
    """

    model: str
    device: str
    steps: int
    frames_per_second: float
    waiting: float


def run(
    settings: TrainingSettings,
    datasets: Sequence[Dataset],
    device: torch.device,
    tick: Callable[[], object] = lambda: None,
) -> Speed:
    """Take ``settings.steps`` steps, the first WARM_UP of them unmeasured; nothing is written.

    Raises:
        GdfusionError: unknown model, no key frames, or a file that cannot be read.
    """
    network = starting_network(settings, device)
    trainer, examples = Trainer(network, settings), Examples(datasets, network.spec, settings, augment=True)
    if not examples.lengths:
        raise GdfusionError('the training data has no key frames')
    batches = stream(examples, settings, ALONE, 0, device)
    start, waited = time.perf_counter(), 0.0
    for step in range(settings.steps):
        if step == WARM_UP:
            synchronize(device)
            start, waited = time.perf_counter(), 0.0
        asked = time.perf_counter()
        batch = [next(batches) for _ in range(settings.frames_per_step)]
        waited += time.perf_counter() - asked
        trainer.step(batch)
        tick()
    synchronize(device)
    seconds, steps = time.perf_counter() - start, settings.steps - WARM_UP
    return Speed(settings.model, str(device), steps, steps * settings.frames_per_step / seconds, waited / seconds)
