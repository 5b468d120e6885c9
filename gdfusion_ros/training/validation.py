"""How well a network in training sees scenes that it does not learn from."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader

from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.model.fusion.state import RecurrentState
from gdfusion_ros.model.inference import prepare
from gdfusion_ros.model.occupancy import OccupancyNetwork
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.training.examples import Examples
from gdfusion_ros.training.losses import IGNORE
from gdfusion_ros.training.objective import on_device
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item


@torch.inference_mode()
def validate(network: OccupancyNetwork, examples: Examples, settings: TrainingSettings,
             tick: Callable[[], object] = lambda: None) -> ConfusionMatrix:
    """Walk through every scene from first to last, as the node would.

    Args:
        network: unfolded; it is not changed.
        examples: without augmentation; their labels are counted where they are known.
        settings: how many processes read, and whether there is a memory.
        tick: called after every key frame.
    """
    network = prepare(copy.deepcopy(network), network.device)
    matrix = ConfusionMatrix(LABEL_SETS[network.config.label_set])
    items = [Item(scene, frame, 0) for scene, count in enumerate(examples.lengths) for frame in range(count)]
    state: RecurrentState | None = None
    for example in DataLoader(examples, batch_size=None, sampler=items, num_workers=settings.workers):
        before = state if settings.history and not example.start else None
        prediction, state = network(on_device(example, network.device).frame, before)
        truth = example.labels.numpy().transpose(1, 0, 2)
        matrix.add(truth, prediction.labels.cpu().numpy(), truth != IGNORE)
        tick()
    return matrix
