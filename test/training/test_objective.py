"""What a network is trained for."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.zoo import fresh_network
from gdfusion_ros.training import losses
from gdfusion_ros.training.examples import Example, Examples
from gdfusion_ros.training.objective import FREQUENCIES, Objective
from gdfusion_ros.training.settings import TrainingSettings
from gdfusion_ros.training.stream import Item

LABELLED, UNLABELLED = 0, 1


@pytest.fixture
def network(tiny_spec: NetworkSpec) -> OccupancyNetwork:
    return fresh_network('tiny', tiny_spec.cues, 0, '', torch.device('cpu')).train()


@pytest.fixture
def images_only(settings: TrainingSettings) -> TrainingSettings:
    return dataclasses.replace(settings, cross_entropy=0.0, depth=0.0, cell_depth=1.0, cell_classes=1.0)


def example(source: Dataset, spec: NetworkSpec, settings: TrainingSettings, scene: int, frame: int) -> Example:
    return Examples([source], spec, settings, augment=False)[Item(scene, frame, 0)]


def test_all_losses_that_have_a_weight(network: OccupancyNetwork, source: Dataset, tiny_spec: NetworkSpec,
                                       settings: TrainingSettings) -> None:
    every = dataclasses.replace(settings, semantic_scaling=0.5, geometric_scaling=0.5, lovasz=0.5, cell_depth=0.5,
                                cell_classes=0.5, class_balance=0.25)
    seen = example(source, tiny_spec, every, LABELLED, 0)
    found, _ = Objective(network, every)(seen, None)
    assert set(found) == {'cross_entropy', 'semantic_scaling', 'geometric_scaling', 'lovasz', 'depth', 'cell_depth',
                          'cell_classes'}
    doubled = dataclasses.replace(every, cell_depth=1.0)
    again, _ = Objective(network, doubled)(seen, None)
    assert again['cell_depth'].item() == pytest.approx(2 * found['cell_depth'].item(), rel=1e-5)
    assert again['lovasz'].item() == pytest.approx(found['lovasz'].item(), rel=1e-5)


def test_focal_loss_weighs_places_and_classes(network: OccupancyNetwork, source: Dataset, tiny_spec: NetworkSpec,
                                             settings: TrainingSettings) -> None:
    seen = example(source, tiny_spec, settings, LABELLED, 0)
    geometry = network.geometry(seen.frame.calibration)
    outputs = network.decoder(network.encode(seen.frame.images, geometry).volume, Pass(BLIND, network.device, False))
    labels, scores = seen.labels, outputs.logits
    known = labels != losses.IGNORE
    places = losses.distance_weights(200, 200)[..., None].expand(labels.shape)[known]
    for kind, weights in (('alike', torch.full((18,), 1 / 18)),
                          ('rare', losses.class_weights(torch.tensor(FREQUENCIES['occ3d_nuscenes']))[1:])):
        only = dataclasses.replace(settings, cross_entropy=0.0, depth=0.0, focal=0.5, focal_classes=kind)
        assert only.lifts
        found, _ = Objective(network, only)(seen, None)
        expected = 0.5 * losses.focal(scores[known], labels[known].long(), weights, places)
        torch.testing.assert_close(found['focal'], expected, rtol=1e-3, atol=1e-5)


def test_images_alone_can_be_learned_first(network: OccupancyNetwork, source: Dataset, tiny_spec: NetworkSpec,
                                           images_only: TrainingSettings) -> None:
    objective, state = Objective(network, images_only), None
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    costs = []
    for step in range(24):
        optimizer.zero_grad()
        found, state = objective(example(source, tiny_spec, images_only, LABELLED, step % 3),
                                 None if step % 3 == 0 else state)
        assert state.depth.geometry is not None
        assert state.memory is None
        sum(found.values()).backward()
        optimizer.step()
        costs.append({name: float(loss.detach()) for name, loss in found.items()})
    assert all(costs[-1][name] < 0.7 * costs[0][name] for name in ('cell_depth', 'cell_classes'))
    assert all(parameter.grad is None for parameter in network.get_submodule('decoder').parameters())


def test_without_labels_nothing_is_learned_of_the_cells(network: OccupancyNetwork, source: Dataset,
                                                        tiny_spec: NetworkSpec,
                                                        images_only: TrainingSettings) -> None:
    found, _ = Objective(network, images_only)(example(source, tiny_spec, images_only, UNLABELLED, 0), None)
    assert [float(loss) for loss in found.values()] == [0.0, 0.0]
    sum(found.values()).backward()


def test_depth_fused_with_history_is_taught_where_the_blend_shuts_it_out(network: OccupancyNetwork, source: Dataset,
                                                                         tiny_spec: NetworkSpec,
                                                                         images_only: TrainingSettings) -> None:
    torch.nn.init.constant_(network.get_parameter('depth.fusion.blend_gate.2.bias'), -100.0)
    seen = example(source, tiny_spec, images_only, LABELLED, 0)
    taught = []
    for weight in (0.0, 0.5):
        network.zero_grad()
        found, _ = Objective(network, dataclasses.replace(images_only, cell_depth_fused=weight))(seen, None)
        sum(found.values()).backward()
        gradient = network.get_parameter('depth.net.logits_head.weight').grad
        assert gradient is not None
        taught.append(float(gradient.abs().sum()))
    assert taught[0] < 1e-6 < taught[1]


def test_without_the_geometry_cue_there_is_no_fused_depth_to_teach(source: Dataset, tiny_spec: NetworkSpec,
                                                                   images_only: TrainingSettings) -> None:
    both = dataclasses.replace(images_only, cues=(), cell_depth_fused=0.5)
    network = fresh_network('tiny', both.cues, 0, '', torch.device('cpu')).train()
    found, _ = Objective(network, both)(example(source, tiny_spec, both, LABELLED, 0), None)
    assert set(found) == {'cell_depth', 'cell_classes'}
