"""How a network is asked for by its settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights import registry
from gdfusion_ros.model.weights.checkpoint import save_checkpoint
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.weights.metadata import WeightsMetadata, read_metadata
from gdfusion_ros.model.zoo import ZOO, Entry, ModelSelection, fresh_network, load_network, select_model
from gdfusion_ros.settings import CUES, ModelSettings


@pytest.fixture(autouse=True)
def _tiny_in_the_zoo(
    tiny: OccupancyNetwork, build_tiny: Callable[[NetworkSpec], OccupancyNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, 'tiny', Entry(tiny.spec, build_tiny))


def test_untrained_weights_are_the_same_whatever_was_drawn_before() -> None:
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(load_network(ModelSettings(model='tiny', untrained=True, device='cpu')))
    for (name, one), other in zip(networks[0].state_dict().items(), networks[1].state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert networks[0].title == 'tiny (untrained)'
    assert not networks[0].training


def test_another_seed_draws_other_weights(tiny: OccupancyNetwork) -> None:
    initialise(tiny, 1)
    first = {name: value.clone() for name, value in tiny.named_parameters() if value.dim() > 1}
    initialise(tiny, 2)
    parameters = dict(tiny.named_parameters())
    drawn = {name for name, value in first.items() if not torch.equal(value, parameters[name])}
    assert set(first) - drawn == {f'memory.scene.{name}' for name in ('bias', 'norm_weight', 'norm_bias')}


def twice_encoded(network: OccupancyNetwork, frame: Frame) -> Tensor:
    """What the classifier sees of a frame after itself."""
    state = network.encode(frame.images, network.geometry(frame.calibration)).state
    geometry = network.geometry(frame.calibration, frame.previous(state.calibration))
    volume: Tensor = network.encode(frame.images, geometry, state).volume
    return volume


@torch.inference_mode()
def test_fusions_that_start_anew_change_little_of_what_goes_through_them(
    tiny: OccupancyNetwork, drive: Any, tmp_path: Path
) -> None:
    file = tmp_path / 'trained.safetensors'
    save_checkpoint(tiny, file, WeightsMetadata())
    cpu = torch.device('cpu')
    fresh = fresh_network('tiny', CUES, 1, str(file), cpu, CUES).eval()
    without = fresh_network('tiny', (), 1, str(file), cpu).eval()
    trained = fresh_network('tiny', CUES, 1, str(file), cpu).eval()
    frame = dataclasses.replace(
        drive.frame(0),
        previous_ego_from_ego=torch.eye(4),
        previous_camera_from_camera=torch.eye(4).expand(len(drive.frame(0).images), 4, 4),
    )
    expected, found, spoilt = (twice_encoded(network, frame) for network in (without, fresh, trained))
    size = expected.abs().mean()
    assert (found - expected).abs().mean() < 0.05 * size
    assert (spoilt - expected).abs().mean() > 0.2 * size


@torch.inference_mode()
def test_an_untrained_network_sees_more_than_one_class_and_no_infinity(drive: Any) -> None:
    runner = SequenceRunner(load_network(ModelSettings(model='tiny', untrained=True, device='cpu')))
    for frame in drive.frames(3):
        prediction = runner.predict(frame)
        assert prediction.logits.isfinite().all()
        assert prediction.labels.unique().numel() > 1


@torch.inference_mode()
def test_weights_from_a_file(tiny: OccupancyNetwork, drive: Any, look: Any, tmp_path: Path) -> None:
    save_checkpoint(tiny, tmp_path / 'tiny.safetensors', WeightsMetadata())
    network = load_network(ModelSettings(model='tiny', weights=str(tmp_path / 'tiny.safetensors'), device='cpu'))
    assert network.title == 'tiny'
    expected, _ = look(tiny, drive.frame(0))
    torch.testing.assert_close(look(network, drive.frame(0))[0].logits, expected.logits, rtol=1e-3, atol=1e-3)


def test_weights_below_home(tiny: OccupancyNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    save_checkpoint(tiny, tmp_path / 'tiny.safetensors', WeightsMetadata())
    load_network(ModelSettings(model='tiny', weights='~/tiny.safetensors', device='cpu'))


def test_cues_of_the_settings_are_those_of_the_network() -> None:
    network = load_network(ModelSettings(model='tiny', untrained=True, device='cpu', cues=('voxel', 'scene')))
    assert network.spec.cues == ('voxel', 'scene')


def test_cues_that_a_network_does_not_have_stay_off() -> None:
    without = dataclasses.replace(BEVDETOCC_GF, cues=())
    assert without.with_cues(CUES) == without
    assert BEVDETOCC_GF.with_cues(('geometry',)).with_cues(('voxel', 'geometry')).cues == ('geometry',)
    with pytest.raises(GdfusionError, match="unknown cue 'smell'"):
        without.with_cues(('smell',))


def test_a_file_says_which_network_it_is_of_and_what_that_was_trained_on(
    tiny: OccupancyNetwork, tmp_path: Path
) -> None:
    file = tmp_path / 'here.safetensors'
    save_checkpoint(tiny, file, WeightsMetadata('tiny', 'the moon'))
    network = load_network(ModelSettings(weights=str(file), device='cpu'))
    assert (network.spec.name, network.title) == ('tiny', 'tiny (trained on the moon)')
    with pytest.raises(GdfusionError, match="are of the model tiny, not of bevdetocc_gf; drop 'model'"):
        select_model(ModelSettings(model='bevdetocc_gf', weights=str(file)))
    save_checkpoint(tiny, file, WeightsMetadata('a word of another tool'))
    assert select_model(ModelSettings(model='tiny', weights=str(file))).spec.name == 'tiny'
    with pytest.raises(GdfusionError, match="are of a model 'a word of another tool', which is not known here; set"):
        select_model(ModelSettings(weights=str(file)))
    save_checkpoint(tiny, file, WeightsMetadata())
    with pytest.raises(GdfusionError, match="do not say which network they are of; set 'model'"):
        select_model(ModelSettings(weights=str(file)))


def test_the_default_is_the_network_that_comes_with_the_package() -> None:
    chosen = select_model(ModelSettings())
    assert chosen.title == 'gdfusion_nano (trained on the synthetic world)'
    assert chosen == select_model(ModelSettings(model='gdfusion_nano'))
    assert chosen == select_model(ModelSettings(weights='gdfusion_nano'))
    assert chosen.weights is not None
    assert read_metadata(chosen.weights) == WeightsMetadata('gdfusion_nano', 'the synthetic world')


def test_a_name_of_weights_tells_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, 'find', lambda name: tmp_path / name)
    for settings in (ModelSettings(weights='bevdetocc_gf'), ModelSettings(model='bevdetocc_gf')):
        assert select_model(settings) == ModelSelection(BEVDETOCC_GF, tmp_path / 'bevdetocc_gf', 'nuScenes')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (ModelSettings(model='resnet', untrained=True), "unknown model 'resnet'; there are bevdetocc_gf, "),
        (
            ModelSettings(model='bevdetocc_fg', untrained=True),
            r"unknown model 'bevdetocc_fg'; did you mean .*bevdetocc_gf.*\? there are .*'gdfusion models'",
        ),
        (ModelSettings(model='tiny', untrained=True, device='gpu'), "unknown device 'gpu'"),
        (
            ModelSettings(model='tiny', untrained=True, device='cpu', precision='autocast'),
            "'autocast' needs a CUDA device",
        ),
        (ModelSettings(model='tiny', untrained=True, cues=('motion',)), "'motion'"),
        (ModelSettings(model='tiny'), "model tiny needs weights: .*'weights'.*'untrained'"),
        (ModelSettings(model='bevdetocc_gf'), "'bevdetocc_gf' are not on this machine; 'gdfusion weights fetch"),
        (ModelSettings(weights='/nowhere/here.pth'), r'there are no weights /nowhere/here\.pth'),
        (ModelSettings(model='tiny', weights='here.pth', untrained=True), r'here\.pth.*drop one'),
        (ModelSettings(model='tiny', weights='/nowhere/here.pth'), r'/nowhere/here\.pth'),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(settings: ModelSettings, message: str) -> None:
    with pytest.raises(GdfusionError, match=message) as refusal:
        load_network(settings)
    assert '\n' not in str(refusal.value)


def test_the_published_network_has_the_published_sizes() -> None:
    spec = BEVDETOCC_GF
    assert spec.image_size == (256, 704)
    assert spec.depth.values().tolist() == [1.0 + 0.5 * k for k in range(88)]
    assert spec.grid.shape == (200, 200, 16)
    for lower, size, count, upper in zip(
        spec.grid.lower, spec.grid.voxel_size, spec.grid.shape, (40.0, 40.0, 5.4), strict=True
    ):
        assert lower + size * count == pytest.approx(upper)
    assert (spec.cameras, spec.context_channels, spec.classes, spec.label_set) == (6, 32, 18, 'occ3d_nuscenes')
