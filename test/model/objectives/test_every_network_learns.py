"""Training works for every network of the zoo: one step of the optimizer lowers its own losses of a fixed batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth, RaySupervision
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.zoo import ZOO
from gdfusion_ros.perception.labels import LABEL_SETS


def truth_for(spec: NetworkSpec) -> FrameTruth:
    """Ground, a thing and free space; LiDAR in a part of the cells; what rays meet."""
    (x, y, z), label_set = spec.predicted_grid.shape, LABEL_SETS[spec.label_set]
    labels = torch.full((y, x, z), label_set.free, dtype=torch.uint8)
    labels[:, :, 0], labels[y // 4 : y // 2, x // 4 : x // 2, 1:3], labels[3 * y // 4 :] = 11, 4, IGNORE
    depth = torch.full((2, *spec.cells), IGNORE)
    depth[:, 2:] = torch.arange(spec.cells[1])
    classes = torch.full((2, 2 * spec.cells[0], 2 * spec.cells[1]), IGNORE, dtype=torch.uint8)
    classes[:, 4:], classes[:, 2:4, 3:7] = 11, 4
    places = torch.full(classes.shape, torch.nan)
    places[:, 4:] = 3.5
    return FrameTruth(labels, depth, RaySupervision(places, classes))


@pytest.mark.parametrize('name', ZOO)
def test_a_step_lowers_the_losses_of_a_fixed_batch(
    build_of_the_zoo: Callable[[str], OccupancyNetwork], drive: Any, name: str
) -> None:
    network = build_of_the_zoo(name)
    initialise(network, 0)
    objective = ZOO[name].objective().build(network.train())
    network.camera_statistics().eval()
    truth = truth_for(network.spec)
    with torch.no_grad():
        _, state = objective(drive.frame(0), truth, None, 0.25)

    def loss() -> Tensor:
        torch.manual_seed(0)  # some objectives look at points that they draw
        return torch.stack(list(objective(drive.frame(1), truth, state, 0.25)[0].values())).sum()

    optimizer, before = torch.optim.AdamW(objective.parameters(), 3e-5, weight_decay=0.0), loss()
    before.backward()
    taught = {part for part, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {part.partition('.')[0] for part in taught} >= {'images', 'depth', 'decoder'}
    optimizer.step()
    with torch.no_grad():
        assert loss() < before
