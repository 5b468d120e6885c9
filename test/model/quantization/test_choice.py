"""A network put into 8 bits: what is noted, what is chosen, and the file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.quantization import calibration
from gdfusion_ros.model.quantization.calibration import Step, labels_of, observe, recorded
from gdfusion_ros.model.quantization.choice import Choice, put, quantize
from gdfusion_ros.model.quantization.file import save_quantized
from gdfusion_ros.model.quantization.layers import InputRange, QuantizedConv, quantized
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.checkpoint import save_checkpoint
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.zoo import ZOO, Entry, load_network
from gdfusion_ros.settings import ModelSettings

STEM, CLASSIFIER = 'images.backbone.layer1.0.conv1', 'decoder.head.classifier.2'


@pytest.fixture(autouse=True)
def _small_layers_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, 'LEAST_WORK', 20_000)


@pytest.fixture
def network(grounded: OccupancyNetwork) -> OccupancyNetwork:
    return prepare(grounded, select_device('cpu'))


@pytest.fixture
def steps(network: OccupancyNetwork, drive: Any) -> list[Step]:
    """Two frames, and two more of another sequence."""
    with recorded(network) as steps, torch.inference_mode():
        for runner in (SequenceRunner(network), SequenceRunner(network)):
            for frame in drive.frames(2):
                runner.predict(frame)
    assert [step.begins for step in steps] == [True, False, True, False]
    return steps


@pytest.fixture
def choose(network: OccupancyNetwork, steps: list[Step]) -> Callable[[float], Choice]:
    """Puts a few layers of the network into 8 bits."""

    def chosen(agreement: float) -> Choice:
        uses = observe(network, steps)
        few = [*list(uses)[:2], 'decoder.encoder.layers.0.0.conv1', CLASSIFIER]
        return quantize(network, {name: uses[name] for name in few}, steps, agreement)

    return chosen


def test_a_layer_is_given_what_it_was_seen_to_be(network: OccupancyNetwork, steps: list[Step]) -> None:
    seen: list[Tensor] = []
    hook = network.get_submodule(STEM).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    list(labels_of(network, steps))
    hook.remove()
    uses = observe(network, steps)
    use, layer = uses[STEM], network.get_submodule(STEM)
    assert isinstance(layer, nn.Conv2d)
    assert use.given.lower == 0
    assert 0 < use.given.upper <= float(torch.stack(seen).max())
    assert use.work == seen[0].numel() // 16 * layer.weight.numel()
    assert 'memory.scene' not in ' '.join(uses), 'gradients go through its layers'


def test_what_is_rare_is_cut_off_as_far_as_that_costs_less_than_steps() -> None:
    counts = torch.ones(2048, dtype=torch.float64)
    assert calibration._best_range(calibration._Seen(upper=40.0, counts=counts)) == InputRange(0.0, 40.0)
    counts[:51], counts[51:-1] = 1e6, 0  # one of 40 beside many below 1
    assert 1 <= calibration._best_range(calibration._Seen(upper=40.0, counts=counts)).upper < 5


def test_the_classes_stay_as_far_as_is_asked(
    network: OccupancyNetwork, steps: list[Step], choose: Callable[[float], Choice]
) -> None:
    wanted, uses = list(labels_of(network, steps)), observe(network, steps)
    choice = choose(0.98)
    found = list(labels_of(network, steps))
    same = sum(float((a == b).float().mean()) for a, b in zip(wanted, found, strict=True)) / len(wanted)
    assert choice.agreement == pytest.approx(same)
    assert choice.agreement >= 0.98
    for layer in choice.layers:
        assert isinstance(network.get_submodule(layer.name), QuantizedConv) == layer.chosen
        narrowed = layer.given != uses[layer.name].given  # which cuts off what is far out
        assert 0 < layer.error < (1 if narrowed else 0.2)
    assert sum(layer.work for layer in choice.layers) == pytest.approx(1)


def test_nothing_changes_where_nothing_may(
    network: OccupancyNetwork, steps: list[Step], monkeypatch: pytest.MonkeyPatch, choose: Callable[[float], Choice]
) -> None:
    wanted = list(labels_of(network, steps))
    broken = InputRange(0.0, 1e-3)  # cuts off nearly everything
    monkeypatch.setattr(calibration, '_best_range', lambda _: broken)
    choice = choose(1.0)
    assert not any(layer.chosen for layer in choice.layers)
    assert choice.agreement == 1
    assert all(torch.equal(a, b) for a, b in zip(wanted, labels_of(network, steps), strict=True))


def test_ranges_are_narrowed_as_long_as_that_keeps_classes(
    network: OccupancyNetwork, steps: list[Step], monkeypatch: pytest.MonkeyPatch, choose: Callable[[float], Choice]
) -> None:
    right, best = observe(network, steps), calibration._best_range

    def too_wide(seen: Any) -> InputRange:
        given = best(seen)
        return InputRange(64 * given.lower, 64 * given.upper)

    monkeypatch.setattr(calibration, '_best_range', too_wide)
    [layer] = [layer for layer in choose(0.0).layers if layer.name == CLASSIFIER]
    assert layer.given.upper <= 32 * right[CLASSIFIER].given.upper


@pytest.fixture
def in_the_zoo(
    grounded: OccupancyNetwork, build_nano: Callable[[NetworkSpec], OccupancyNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = grounded.spec
    monkeypatch.setitem(ZOO, spec.name, Entry(spec, build_nano))


@pytest.fixture
def eight(network: OccupancyNetwork, tmp_path: Path) -> Path:
    """A file of the network with two layers in 8 bits."""
    for name in (STEM, CLASSIFIER):
        layer: Any = network.get_submodule(name)
        put(network, name, quantized(layer, InputRange(-1.0, 3.0)))
    path = tmp_path / 'eight.safetensors'
    save_quantized(network, path, WeightsMetadata(network.spec.name, 'a bend'))
    return path


@pytest.mark.usefixtures('in_the_zoo')
def test_the_file_gives_the_network(network: OccupancyNetwork, steps: list[Step], eight: Path) -> None:
    loaded = load_network(ModelSettings(weights=str(eight), device='cpu', precision='int8'))
    assert loaded.title == 'tiny (trained on a bend, 8 bits)'
    for ours, theirs in zip(labels_of(loaded, steps), labels_of(network, steps), strict=True):
        assert torch.equal(ours, theirs)


Damage = Callable[[dict[str, Tensor]], object]


@pytest.mark.usefixtures('in_the_zoo')
@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (
            lambda state: state.update({f'{STEM}.input_step': torch.tensor(0.0)}),
            f'{STEM} has steps that are not above 0',
        ),
        (lambda state: state.update({f'{STEM}.input_zero': torch.tensor(300, dtype=torch.int32)}), 'has 300 for zero'),
        (
            lambda state: state.update({f'{STEM}.bias': state[f'{STEM}.bias'] / 0}),
            f'in {STEM}.bias that are not finite',
        ),
        (lambda state: state.pop(f'{STEM}.weight'), f'missing {STEM}.weight'),
        (lambda state: state.update({f'{STEM}.weight': state[f'{STEM}.weight'].float()}), 'of another shape or type'),
        (lambda state: state.update({'no.such.weight_step': torch.ones(1)}), 'no convolution no.such'),
        (lambda state: state.update({'more': torch.ones(1)}), 'unexpected more'),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(eight: Path, tmp_path: Path, damage: Damage, message: str) -> None:
    state = load_file(eight)
    damage(state)
    path = tmp_path / 'damaged.safetensors'
    save_file(state, path, metadata={'model': 'tiny', 'precision': 'int8'})
    with pytest.raises(GdfusionError, match=re.escape(message)) as refusal:
        load_network(ModelSettings(weights=str(path), device='cpu', precision='int8'))
    assert '\n' not in str(refusal.value)
    assert str(path) in str(refusal.value)


@pytest.mark.usefixtures('in_the_zoo')
def test_precision_and_weights_belong_together(
    eight: Path, grounded: OccupancyNetwork, tmp_path: Path, build_nano: Callable[[NetworkSpec], OccupancyNetwork]
) -> None:
    floats = tmp_path / 'floats.safetensors'
    save_checkpoint(build_nano(grounded.spec), floats, WeightsMetadata('tiny'))
    base = ModelSettings(device='cpu', weights=str(floats))
    for settings, message in (
        (dataclasses.replace(base, precision='int8'), "have no 8 bits.*'gdfusion quantize'"),
        (dataclasses.replace(base, weights=str(eight)), "have 8 bits: set precision to 'int8'"),
        (ModelSettings(model='tiny', untrained=True, precision='int8', device='cpu'), 'of trained weights'),
    ):
        with pytest.raises(GdfusionError, match=message):
            load_network(settings)
