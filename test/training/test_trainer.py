"""The optimiser's steps, and how they are taken up again."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.checkpoint import save_checkpoint
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.zoo import fresh_network
from gdfusion_ros.settings import CUES
from gdfusion_ros.training.examples import Example, Examples
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Stream
from gdfusion_ros.training.trainer import Trainer, learning_rate, starting_network

pytestmark = pytest.mark.slow


@pytest.fixture
def network(tiny_spec: NetworkSpec) -> OccupancyNetwork:
    return fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu'))


@pytest.fixture
def batches(source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings) -> list[list[Example]]:
    """Six steps of two slots."""
    examples = Examples([source], tiny_spec, settings, augment=True)
    items = list(Stream(examples.lengths, 0, 0, 2, 2, (0, 6)))
    return [[examples[item] for item in items[step : step + 2]] for step in range(0, 12, 2)]


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def frames_of(state: SequenceState) -> int:
    return int(state.memory.voxel.frames)


def total(found: dict[str, torch.Tensor]) -> float:
    return float(sum(found.values()))


def test_the_loss_falls_on_what_is_seen_again(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, dataclasses.replace(settings, steps=12, learning_rate=5e-3))
    starts = [each for batch in batches for each in batch if each.start and (each.truth.labels != 255).any()]
    losses = [total(trainer.step(starts[:2])) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]
    assert trainer.done == 12


def test_memory_lasts_for_a_sequence(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, settings)
    for step, batch in enumerate(batches):
        trainer.step(batch)
        states = [state for state in trainer.memory if state is not None]
        assert [frames_of(state) for state in states] == [step % 3 + 1] * 2  # scenes of three key frames
        assert not any(tensor.requires_grad for state in states for tensor in state.tensors().values())


def test_at_first_the_volume_may_be_forgotten_and_the_images_are_not(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, dataclasses.replace(settings, history_from=0.5))
    for step, batch in enumerate(batches):
        trainer.step(batch)
        for state in trainer.memory:
            assert state is not None
            assert state.depth.features is not None
            assert (state.memory is None) == (step < 3), 'of six'


def test_slots_that_take_turns_keep_their_own_memory(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, dataclasses.replace(settings, turns=2))
    frames = []
    for example in [example for batch in batches[:2] for example in batch]:
        trainer.step([example])
        frames.append([0 if state is None else frames_of(state) for state in trainer.memory])
    assert frames == [[1, 0], [1, 1], [2, 1], [2, 2]]
    with pytest.raises(GdfusionError, match='2 slots cannot take 3 turns'):
        dataclasses.replace(settings, turns=3)


def test_without_history_every_frame_is_a_first_one(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, dataclasses.replace(settings, history=False))
    for batch in batches[:3]:
        trainer.step(batch)
        assert [frames_of(state) for state in trainer.memory if state is not None] == [1, 1]


def test_stopped_and_resumed_is_as_if_it_had_not_been(
    network: OccupancyNetwork, tiny_spec: NetworkSpec, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    whole = Trainer(network, settings)
    for batch in batches:
        whole.step(batch)
    first = Trainer(fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu')), settings)
    for batch in batches[:4]:
        first.step(batch)
    second = Trainer(fresh_network('tiny', tiny_spec.cues, 9, '', torch.device('cpu')), settings)
    second.load_state_dict(first.state_dict())
    second.memory = [state and SequenceState.restored(state.tensors(), state.structure()) for state in first.memory]
    for batch in batches[4:]:
        second.step(batch)
    for one, other in ((whole.network, second.network), (whole.average.network, second.average.network)):
        assert all(map(torch.equal, weights(one), weights(other)))


def test_the_average_follows_the_weights(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    trainer = Trainer(network, dataclasses.replace(settings, average_decay=0.0))
    trainer.step(batches[0])
    assert all(map(torch.equal, weights(trainer.average.network), weights(trainer.network)))
    lagging = Trainer(network, dataclasses.replace(settings, average_decay=1.0))
    for batch in batches[:3]:
        lagging.step(batch)
    assert not all(map(torch.equal, weights(lagging.average.network), weights(lagging.network)))


def test_a_switched_off_cue_learns_nothing(
    tiny_spec: NetworkSpec, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    network = fresh_network('tiny', (), 0, '', torch.device('cpu'))
    before = weights(network.fusion('scene')) + weights(network.fusion('voxel'))
    trainer = Trainer(network, dataclasses.replace(settings, weight_decay=0.0))
    for batch in batches[:2]:
        trainer.step(batch)
    assert all(map(torch.equal, before, weights(network.fusion('scene')) + weights(network.fusion('voxel'))))


def test_a_memory_that_starts_anew_learns(
    tiny_spec: NetworkSpec, batches: Sequence[list[Example]], settings: TrainingSettings, tmp_path: Path
) -> None:
    cpu, file = torch.device('cpu'), tmp_path / 'trained.safetensors'
    save_checkpoint(fresh_network('tiny', tiny_spec.cues, 3, '', cpu), file, WeightsMetadata())
    chosen = dataclasses.replace(settings, model='tiny', initial_weights=str(file), fresh_cues=CUES)
    network = starting_network(chosen, cpu)
    loaded = starting_network(dataclasses.replace(chosen, fresh_cues=()), cpu)
    assert all(map(torch.equal, weights(network.get_submodule('images')), weights(loaded.get_submodule('images'))))
    assert not network.fusion('motion').get_parameter('offset.weight').any()
    assert loaded.fusion('motion').get_parameter('offset.weight').any()
    fusions = [network.fusion(cue) for cue in CUES]
    before = [weights(fusion) for fusion in fusions]
    trainer = Trainer(network, dataclasses.replace(chosen, weight_decay=0.0))
    for batch in batches[:3]:
        trainer.step(batch)
    for fusion, old in zip(fusions, before, strict=True):
        assert not all(map(torch.equal, old, weights(fusion))), type(fusion).__name__


def statistics(network: OccupancyNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items() if 'running_' in name}


def test_statistics_are_kept_from_a_step_on(
    network: OccupancyNetwork, tiny_spec: NetworkSpec, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    settings = dataclasses.replace(settings, statistics_steps=2)
    trainer = Trainer(network, settings)
    for batch in batches[:2]:
        trainer.step(batch)
    frozen = statistics(network)
    trainer.step(batches[2])
    assert all(torch.equal(value, frozen[name]) for name, value in statistics(network).items())
    resumed = Trainer(fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu')), settings)
    resumed.load_state_dict(copy.deepcopy(trainer.state_dict()))
    resumed.memory = trainer.memory
    for going_on in (trainer, resumed):
        going_on.step(batches[3])
        assert all(torch.equal(value, frozen[name]) for name, value in statistics(going_on.network).items())
    assert all(torch.equal(*pair) for pair in zip(weights(trainer.network), weights(resumed.network), strict=True))


def test_layers_that_are_trained_already_keep_their_statistics(
    network: OccupancyNetwork, batches: Sequence[list[Example]], settings: TrainingSettings
) -> None:
    network.get_buffer('images.backbone.bn1.num_batches_tracked').fill_(1)
    before = statistics(network)
    Trainer(network, settings).step(batches[0])
    changed = {name for name, value in statistics(network).items() if not torch.equal(value, before[name])}
    assert not {'images.backbone.bn1.running_mean', 'images.backbone.bn1.running_var'} & changed
    assert 'decoder.encoder.layers.0.0.bn1.running_mean' in changed


def test_learning_rate_rises_then_falls_along_a_cosine(settings: TrainingSettings) -> None:
    settings = dataclasses.replace(settings, steps=110, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.2)
    rates = [learning_rate(settings, step) for step in range(111)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[5] == pytest.approx(0.5, abs=0.01)
    assert rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.6)
    assert rates[110] == pytest.approx(0.2)


def test_another_networks_checkpoint_is_refused(network: OccupancyNetwork, settings: TrainingSettings) -> None:
    trainer = Trainer(network, settings)
    state = trainer.state_dict()
    state['objective'].popitem()
    with pytest.raises(GdfusionError, match='does not fit'):
        trainer.load_state_dict(state)
    with pytest.raises(GdfusionError, match='1 slots'):
        trainer.memory = [None]
