"""How well a network in training sees scenes that it does not learn from."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives.interface import IGNORE
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.loading import load
from gdfusion_ros.training.processes import ALONE, Processes
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item


@torch.inference_mode()
def validate(
    network: OccupancyNetwork,
    examples: Examples,
    settings: TrainingSettings,
    tick: Callable[[], object] = lambda: None,
    processes: Processes = ALONE,
) -> ConfusionMatrix:
    """Walk through every scene of this process's share from first to last, as the node would.

    Args:
        network: unfolded; it is not changed.
        examples: without augmentation; their labels are counted where they are known.
        settings: how many processes read, and whether there is a memory.
        tick: called after every key frame.
        processes: among which the scenes are dealt out.

    Raises:
        GdfusionError: a file of the data is missing or damaged.
    """
    network = prepare(copy.deepcopy(network), network.device)
    matrix = ConfusionMatrix(LABEL_SETS[network.spec.label_set])
    items = own_items(examples, processes)
    runner = SequenceRunner.forgetful(network)
    for example in load(examples, items, settings.workers, network.device):
        if example.start or not settings.history:
            runner.state = None
        prediction = runner.predict(example.to(network.device).frame)
        truth = example.truth.labels.numpy().transpose(1, 0, 2)
        matrix.add(truth, prediction.labels.cpu().numpy(), truth != IGNORE)
        tick()
    return matrix


def own_items(examples: Examples, processes: Processes) -> list[Item]:
    """The key frames of this process's share of the scenes."""
    return [
        Item(scene, frame, 0)
        for scene in range(processes.rank, len(examples.lengths), processes.count)
        for frame in range(examples.lengths[scene])
    ]
