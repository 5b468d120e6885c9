"""The benchmark's own arithmetic, on a network small enough to wait for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.benchmark import network as benchmark
from gdfusion_ros.benchmark.network import BenchmarkResult, in_order
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.probe import STAGES
from gdfusion_ros.model.quantization.choice import put
from gdfusion_ros.model.quantization.layers import InputRange, quantized
from gdfusion_ros.model.runtime.prepare import prepare

pytestmark = pytest.mark.slow

STAGES_OF_TINY = tuple(name for name in STAGES if name not in {'backward projection', 'queue'})


@pytest.fixture
def network(tiny: OccupancyNetwork) -> OccupancyNetwork:
    return prepare(tiny, torch.device('cpu'))


def conv_gmac(module: nn.Module, outputs: int) -> float:
    """GMAC of convolutions whose every kernel runs at ``outputs`` places."""
    return sum(weight.numel() for weight in module.parameters() if weight.dim() > 2) * outputs / 1e9


def check_times(result: BenchmarkResult) -> None:
    assert in_order(result.stages) == list(STAGES_OF_TINY)
    assert all(seconds > 0 for seconds in result.stages.values())
    assert sum(result.stages.values()) <= result.frame  # exact for one frame
    assert 0 < result.fusion_share < 1
    assert result.floor > 0


def check_products(result: BenchmarkResult, network: Any) -> None:
    """Counted, not made up: the same as by hand, matrices of 4 x 4 aside."""
    voxels, channels = network.spec.grid.voxels, network.spec.context_channels
    classifier = sum(weight.numel() for weight in network.decoder.head.classifier.parameters() if weight.dim() == 2)
    by_hand = {
        'pre-process': conv_gmac(network.view.pre_process, voxels),
        'motion': conv_gmac(network.memory.motion, voxels),
        'voxel': (2 + 2) * channels**2 * voxels / 1e9,
        'scene': 5 * channels**2 * voxels / 1e9,
        'head': conv_gmac(network.decoder.head.conv, voxels) + classifier * voxels / 1e9,
    }
    for name, gmac in by_hand.items():
        assert result.gmac[name] == pytest.approx(gmac, rel=0.03), name
    for name in STAGES_OF_TINY:
        assert (result.gmac[name] > 1e-6) == (name not in {'cost volume', 'lift'}), name


def test_one_frame(network: OccupancyNetwork) -> None:
    ticks: list[int] = []
    result = benchmark.run(network, frames=1, tick=lambda: ticks.append(1))
    check_times(result)
    check_products(result, network)
    assert len(ticks) == result.frames == 1
    assert (result.model, result.precision) == ('tiny', 'fp32')
    assert result.peak_memory > sum(p.nbytes for p in network.parameters())
    assert result.state > 2 * 2 * 256 * 16 * 24
    assert json.loads(json.dumps(dataclasses.asdict(result)))['gmac'] == result.gmac


def test_the_floor_runs_each_product_as_often_as_the_network(
    network: OccupancyNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(benchmark, '_alone', lambda call, device: (calls.append(call), 1.0)[1])
    result = benchmark.run(network, frames=3)
    assert result.floor > sum(isinstance(module, (nn.Conv2d, nn.Conv3d)) for module in network.modules())
    assert len(calls) == len(set(calls)) < result.floor
    assert result.frames == 3


def test_cues_that_are_off_have_no_stage(
    with_cues: Callable[[tuple[str, ...]], OccupancyNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, '_alone', lambda call, device: 0.0)
    result = benchmark.run(prepare(with_cues(('voxel',)), torch.device('cpu')), frames=1)
    assert set(STAGES_OF_TINY) - set(result.stages) == {'geometry', 'motion', 'scene'}
    assert in_order({'head': 1.0, 'backbone': 1.0}) == ['backbone', 'head']


def test_transposed_convolutions_are_products_too(
    tiny_gsdocc: OccupancyNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def alone(call: Any, device: torch.device) -> float:
        seen.add(call.operator.overloadpacket)
        return 0.0

    monkeypatch.setattr(benchmark, '_alone', alone)
    result = benchmark.run(prepare(tiny_gsdocc, torch.device('cpu')), frames=1)
    assert {torch.ops.aten.conv_transpose2d, torch.ops.aten.conv_transpose3d} <= seen
    assert set(result.stages) == {'backbone', 'depth', 'lift', 'queue', 'encoder', 'head'}


def test_products_of_bytes_count_as_those_of_floats(network: OccupancyNetwork) -> None:
    floats = benchmark.run(network, frames=1)
    for name in ('images.neck.output', 'decoder.head.classifier.2'):
        layer: Any = network.get_submodule(name)
        put(network, name, quantized(layer, InputRange(-1.0, 1.0)))
    eight = benchmark.run(network, frames=1, precision='int8')
    assert eight.gmac == pytest.approx(floats.gmac)
    assert eight.precision == 'int8'


def test_plain_operators_count_the_same_products(network: OccupancyNetwork) -> None:
    plain = benchmark.run(network, frames=1, plain=True)
    check_times(plain)
    check_products(plain, network)
    assert plain.precision == 'fp32, plain operators'
