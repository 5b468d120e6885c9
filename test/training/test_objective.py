"""What a network is trained for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model import zoo
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.objectives.bevdetocc import LossWeights
from gdfusion_ros.model.objectives.interface import FrameTruth, Objective, ObjectiveSettings
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.zoo import fresh_network
from gdfusion_ros.settings import setting
from gdfusion_ros.training import settings as training_settings
from gdfusion_ros.training.examples import Example, Examples
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item
from gdfusion_ros.training.trainer import Trainer

LABELLED, UNLABELLED = 0, 1
CONFIGURATIONS = Path(__file__).parents[2] / 'config'
IMAGES_ONLY = LossWeights(cross_entropy=0.0, depth=0.0, cell_depth=1.0, cell_classes=1.0)


@pytest.fixture
def network(tiny_spec: NetworkSpec) -> OccupancyNetwork:
    return fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu')).train()


Losses = dict[str, torch.Tensor]
See = Callable[[LossWeights, int, int], Example]


@pytest.fixture
def see(source: Dataset, tiny_spec: NetworkSpec, settings: TrainingSettings) -> See:
    """An example as those weights want it: scene, frame."""

    def example(weights: LossWeights, scene: int, frame: int) -> Example:
        chosen = dataclasses.replace(settings, objective=weights)
        return Examples([source], tiny_spec, chosen, augment=False)[Item(scene, frame, 0)]

    return example


def losses(network: OccupancyNetwork, weights: LossWeights, seen: Example) -> Losses:
    found: Losses = weights.build(network)(seen.frame, seen.truth, None)[0]
    return found


def test_all_losses_that_have_a_weight(network: OccupancyNetwork, see: See) -> None:
    every = LossWeights(
        semantic_scaling=0.5, geometric_scaling=0.5, lovasz=0.5, cell_depth=0.5, cell_classes=0.5, class_balance=0.25
    )
    seen = see(every, LABELLED, 0)
    found = losses(network, every, seen)
    assert set(found) == {
        'cross_entropy',
        'semantic_scaling',
        'geometric_scaling',
        'lovasz',
        'depth',
        'cell_depth',
        'cell_classes',
    }
    again = losses(network, dataclasses.replace(every, cell_depth=1.0), seen)
    assert again['cell_depth'].item() == pytest.approx(2 * found['cell_depth'].item(), rel=1e-5)
    assert again['lovasz'].item() == pytest.approx(found['lovasz'].item(), rel=1e-5)


def test_images_alone_can_be_learned_first(network: OccupancyNetwork, see: See) -> None:
    objective, state = IMAGES_ONLY.build(network), None
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    examples = [see(IMAGES_ONLY, LABELLED, frame) for frame in range(3)]
    costs = []
    for step in range(24):
        optimizer.zero_grad()
        seen = examples[step % 3]
        found, state = objective(seen.frame, seen.truth, None if step % 3 == 0 else state)
        assert state.depth.geometry is not None
        assert state.memory is None
        sum(found.values()).backward()
        optimizer.step()
        costs.append({name: float(loss.detach()) for name, loss in found.items()})
    assert all(costs[-1][name] < 0.7 * costs[0][name] for name in ('cell_depth', 'cell_classes'))
    assert all(parameter.grad is None for parameter in network.get_submodule('decoder').parameters())


def test_without_labels_nothing_is_learned_of_the_cells(network: OccupancyNetwork, see: See) -> None:
    found = losses(network, IMAGES_ONLY, see(IMAGES_ONLY, UNLABELLED, 0))
    assert [float(loss.detach()) for loss in found.values()] == [0.0, 0.0]
    torch.stack(list(found.values())).sum().backward()


def test_depth_fused_with_history_is_taught_where_the_blend_shuts_it_out(network: OccupancyNetwork, see: See) -> None:
    torch.nn.init.constant_(network.get_parameter('depth.fusion.blend_gate.2.bias'), -100.0)
    seen = see(IMAGES_ONLY, LABELLED, 0)
    taught = []
    for weight in (0.0, 0.5):
        network.zero_grad()
        found = losses(network, dataclasses.replace(IMAGES_ONLY, cell_depth_fused=weight), seen)
        torch.stack(list(found.values())).sum().backward()
        gradient = network.get_parameter('depth.net.logits_head.weight').grad
        assert gradient is not None
        taught.append(float(gradient.abs().sum()))
    assert taught[0] < 1e-6 < taught[1]


def test_without_the_geometry_cue_there_is_no_fused_depth_to_teach(see: See) -> None:
    both = dataclasses.replace(IMAGES_ONLY, cell_depth_fused=0.5)
    network = fresh_network('tiny', (), 0, '', torch.device('cpu')).train()
    assert set(losses(network, both, see(both, LABELLED, 0))) == {'cell_depth', 'cell_classes'}


@dataclass(frozen=True)
class Brightness(ObjectiveSettings):
    """The settings of an objective of one's own: what the image is like on average."""

    brightness: float = setting(0.0, 'What the mean score should be.', low=-1.0, high=1.0)

    def check(self, cues: tuple[str, ...]) -> None:
        if cues == ('voxel',):
            raise GdfusionError('brightness needs more than voxel')

    def build(self, network: OccupancyNetwork) -> Objective:
        return MeanScore(network, self.brightness)


class MeanScore(Objective):
    """Learns a mean score, and remembers how far the training was."""

    def __init__(self, network: OccupancyNetwork, wanted: float) -> None:
        super().__init__(network)
        self._wanted, self.seen = wanted, list[float]()

    def forward(
        self, frame: Frame, truth: FrameTruth, state: SequenceState | None, progress: float
    ) -> tuple[Losses, SequenceState]:
        del truth
        self.seen.append(progress)
        then = None if state is None else state.calibration
        geometry = self.network.geometry(frame.calibration, frame.previous(then))
        prediction, after = self.network(frame.images, geometry, state)
        return {'brightness': (prediction.scores.mean() - self._wanted) ** 2}, after.detach()


def test_a_network_brings_its_own_objective(
    source: Dataset, tiny_spec: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(zoo.ZOO, 'tiny', dataclasses.replace(zoo.ZOO['tiny'], objective=Brightness))
    file = tmp_path / 'a.yaml'
    file.write_text('{model: tiny, steps: 2, slots: 1, workers: 0, warmup_steps: 0, brightness: 0.5}')
    read = training_settings.read(file, {})
    assert read.objective == Brightness(0.5)
    assert 'brightness: 0.5' in training_settings.text(read)
    network = fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu'))
    trainer = Trainer(network, read)
    example = Examples([source], tiny_spec, read, augment=False)[Item(LABELLED, 0, 0)]
    costs = [float(trainer.step([example])['brightness']) for _ in range(2)]
    assert costs[1] < costs[0]
    for text, message in (
        ('{model: tiny, cross_entropy: 1.0}', "unknown setting 'cross_entropy'"),
        ('{model: tiny, cues: [voxel]}', 'needs more than voxel'),
    ):
        file.write_text(text)
        with pytest.raises(GdfusionError, match=message):
            training_settings.read(file, {})


@pytest.mark.parametrize('path', sorted(CONFIGURATIONS.glob('train_*.yaml')), ids=lambda path: str(path.stem))
def test_configurations_that_ship_are_of_networks_that_there_are(path: Path) -> None:
    settings = training_settings.read(path, {})
    assert isinstance(settings.objective, zoo.entry(settings.model).objective)
