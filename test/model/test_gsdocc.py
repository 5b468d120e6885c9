"""GSD-Occ as a whole, small: its two forms, its files, its memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.weights.checkpoint import load_checkpoint, save_checkpoint
from gdfusion_ros.model.weights.forms import described
from gdfusion_ros.model.weights.metadata import WeightsMetadata

LARGEST_ERROR = 1e-4
BLOCK = 'occupancy_head.unirep_3dconv_layer'


def logits(network: OccupancyNetwork, frames: list[Any]) -> list[Tensor]:
    """Of every frame of one sequence."""
    runner = SequenceRunner(network)
    return [runner.predict(frame).logits for frame in frames]


@torch.inference_mode()
def test_both_forms_and_the_prepared_network_agree(tiny_gsdocc: OccupancyNetwork, drive: Any) -> None:
    frames = drive.frames(4)
    merged: Any = copy.deepcopy(tiny_gsdocc)
    merged.decoder.head.block.merge()
    prepared = prepare(copy.deepcopy(tiny_gsdocc), torch.device('cpu'))
    for trained, *others in zip(*(logits(each, frames) for each in (tiny_gsdocc, merged, prepared)), strict=True):
        assert trained.shape == (32, 40, 8, 18)
        for other in others:
            assert (other - trained).abs().max() <= LARGEST_ERROR * trained.std()
    assert not torch.equal(logits(merged, frames)[0], logits(tiny_gsdocc, frames)[0])


@torch.inference_mode()
def test_decoder_takes_what_is_remembered_and_what_is_seen(tiny_gsdocc: OccupancyNetwork, drive: Any) -> None:
    """Slot by slot, as the description has it."""
    network: Any = tiny_gsdocc
    runner = SequenceRunner(network)
    runner.predict(drive.frame(0))
    frame, state = drive.frame(1), runner.state
    assert state is not None
    geometry, run = runner.geometry(frame), Pass(BLIND, network.device, autocast=False)
    cells, _ = network.predict_depth(frame.images, geometry, state)
    lifted = network.view(cells, geometry.view, run)
    history, _ = network.memory.views(lifted.sum(-1) / lifted.shape[-1], geometry.memory, state.memory, run)
    encoded = network.decoder.neck(network.decoder.encoder(history))
    expected = network.decoder.head.predict(network.decoder.head(encoded, history, lifted))
    found = runner.predict(frame)
    assert torch.equal(found.labels, expected.labels)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_the_past_counts_and_a_new_sequence_forgets_it(tiny_gsdocc: OccupancyNetwork, drive: Any) -> None:
    frames = drive.frames(3)
    alone, after = logits(tiny_gsdocc, frames[2:])[0], logits(tiny_gsdocc, frames)[2]
    assert not torch.allclose(alone, after, atol=1e-2)
    runner = SequenceRunner(tiny_gsdocc)
    for frame in frames:
        runner.predict(frame)
    runner.state = None
    assert torch.equal(runner.predict(frames[2]).logits, alone)


@pytest.fixture
def written(tiny_gsdocc: OccupancyNetwork, tmp_path: Path) -> Callable[[bool], Path]:
    """A file of the network as it was trained, or re-parameterised."""

    def write(merged: bool) -> Path:
        network: Any = copy.deepcopy(tiny_gsdocc)
        path = tmp_path / f'{merged}.safetensors'
        if merged:
            network.decoder.head.block.merge()
        save_checkpoint(network, path, WeightsMetadata())
        return path

    return write


@pytest.mark.parametrize(('merged', 'said'), [(False, 'gsdocc, as trained'), (True, 'gsdocc, re-parameterised')])
def test_a_file_of_either_form_loads_and_is_written_back(
    tiny_gsdocc: OccupancyNetwork,
    build_tiny_gsdocc: Callable[[], OccupancyNetwork],
    written: Callable[[bool], Path],
    tmp_path: Path,
    merged: bool,
    said: str,
) -> None:
    network, path = build_tiny_gsdocc(), written(merged)
    load_checkpoint(network, path)
    assert described(network, 'gsdocc') == said
    save_checkpoint(network, tmp_path / 'back.safetensors', WeightsMetadata())
    first, second = load_file(path), load_file(tmp_path / 'back.safetensors')
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert (f'{BLOCK}.dwconv.lk_origin.bias' in first) == merged
    assert (f'{BLOCK}.gamma' in first) == (not merged)


@pytest.mark.parametrize(
    ('merged', 'lacking', 'form'),
    [
        (False, 'norm.weight', 'as trained'),
        (True, 'pwconv1.1.bias', 're-parameterised'),
        (True, 'pwconv2.0.bias', 're-parameterised'),
    ],
)
def test_what_neither_form_has_is_named(
    build_tiny_gsdocc: Callable[[], OccupancyNetwork],
    written: Callable[[bool], Path],
    merged: bool,
    lacking: str,
    form: str,
) -> None:
    path = written(merged)
    state = load_file(path)
    del state[f'{BLOCK}.{lacking}']
    save_file(state, path)
    with pytest.raises(GdfusionError, match=f'does not fit tiny, {form}: .*{lacking}') as refusal:
        load_checkpoint(build_tiny_gsdocc(), path)
    assert '\n' not in str(refusal.value)


def test_other_networks_have_one_form(tiny: OccupancyNetwork) -> None:
    assert described(tiny, 'tiny') == 'tiny'
