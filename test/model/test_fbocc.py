"""FB-Occ-GF as a whole, small: its forms, its cameras, its memory, and a step of training."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives.focal import FocalWeights
from gdfusion_ros.model.objectives.interface import IGNORE, FrameTruth
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.weights.initialise import initialise

LARGEST_ERROR = 1e-3


def logits(network: OccupancyNetwork, frames: list[Frame]) -> list[Tensor]:
    """Of every frame of one sequence."""
    runner = SequenceRunner(network)
    return [runner.predict(frame).logits for frame in frames]


@torch.inference_mode()
def test_plain_and_prepared_network_agree(
    tiny_fbocc: OccupancyNetwork, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = drive.frames(3)
    prepared = logits(prepare(copy.deepcopy(tiny_fbocc), torch.device('cpu')), frames)
    monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    for plain, fast in zip(logits(tiny_fbocc, frames), prepared, strict=True):
        assert plain.shape == (32, 40, 8, 18)
        assert (fast - plain).abs().max() <= LARGEST_ERROR * plain.std()


@torch.inference_mode()
def test_columns_see_the_images_that_the_lift_misses(
    tiny_fbocc: OccupancyNetwork, drive: Any, recalibrated: Callable[..., Frame]
) -> None:
    """A camera adds to the volume by both projections; one that is masked out adds nothing."""
    network: Any = tiny_fbocc
    frame = drive.frame(0)
    masked = recalibrated(frame, visible=torch.tensor([True, False]))
    changed = dataclasses.replace(masked, images=torch.cat([frame.images[:1], frame.images[1:] + 3]))
    seen, unseen, other = (logits(network, [each])[0] for each in (frame, masked, changed))
    assert torch.equal(unseen, other)
    assert not torch.equal(seen, unseen)
    network.view.backward_projection.cross_attention.output.weight.data.zero_()
    assert not torch.equal(logits(network, [frame])[0], seen)


@torch.inference_mode()
def test_the_past_counts_and_a_new_sequence_forgets_it(tiny_fbocc: OccupancyNetwork, drive: Any) -> None:
    frames = drive.frames(3)
    alone, after = logits(tiny_fbocc, frames[2:])[0], logits(tiny_fbocc, frames)[2]
    assert not torch.allclose(alone, after, atol=1e-2)


def test_a_step_of_training_lowers_the_loss(tiny_fbocc: OccupancyNetwork, drive: Any) -> None:
    initialise(tiny_fbocc, 0)
    network = tiny_fbocc.train().requires_grad_(True)
    network.camera_statistics().eval()
    objective = FocalWeights().build(network)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(18, (32, 40, 8), generator=generator).to(torch.uint8)
    labels[:5] = IGNORE
    depth = torch.randint(12, (2, *network.spec.cells), generator=generator)
    first, second = drive.frames(2)
    truth = FrameTruth(labels, depth)
    _, state = objective(first, truth, None, 0.0)

    def loss() -> Tensor:
        found, _ = objective(second, truth, state, 0.5)
        assert found.keys() == {'focal', 'semantic_scaling', 'geometric_scaling', 'lovasz', 'depth'}
        return torch.stack(list(found.values())).sum()

    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    before = loss()
    before.backward()
    unreached = {name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()}
    assert unreached == set(), 'every weight learns'
    optimizer.step()
    assert loss() < before
