"""What worker processes bring, and when they die."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.loading import load
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

CPU = torch.device('cpu')


class Dying:
    """Examples of which reading the second one ends the process, as the system does where memory is short."""

    def __getitem__(self, item: Item) -> int:
        if item.frame:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0


def test_a_worker_that_is_killed_is_one_line() -> None:
    examples: Any = Dying()
    with pytest.raises(GdfusionError, match=r'^a process that reads data is gone \([^\n]*\); is there [^\n]*$'):
        list(load(examples, [Item(0, frame, 0) for frame in range(3)], 1, CPU))


def test_faults_of_the_program_are_not_explained_away() -> None:
    examples: Any = {}
    with pytest.raises(KeyError):
        list(load(examples, [Item(0, 0, 0)], 0, CPU))


def test_all_large_tensors_are_pinned(
    source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no CUDA here to pin anything for."""
    pinned: list[int] = []
    monkeypatch.setattr(Tensor, 'pin_memory', lambda tensor: (pinned.append(id(tensor)), tensor)[1])
    examples = Examples([source], tiny_spec, settings, augment=False)
    for example in load(examples, [Item(0, 0, 0)], 0, CPU):
        example.pin_memory()
        large = [example.frame.images, example.truth.labels, example.truth.depth]
        assert pinned == [id(tensor) for tensor in large]
