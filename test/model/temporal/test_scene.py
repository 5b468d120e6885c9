"""Scene-level fusion: the recordings, and the loss of equation 7 under autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.layers import volume
from gdfusion_ros.model.layers.volume import volume_of
from gdfusion_ros.model.temporal.scene import SCENE, SceneFusion, SceneState

GATE = 1e-4
SIZE = (5, 6, 3)


@pytest.mark.parametrize('sample', [0, 1])
def test_recorded_steps(recording: Callable[[str], Any], sample: int) -> None:
    recorded = recording('scene_fusion')
    fusion = SceneFusion(8)
    recorded.load(fusion, SCENE)
    state: SceneState | None = None
    for step, starts in enumerate(recorded['start']):
        voxels = recorded[f'x{step}'][sample].t()
        output, state = fusion(volume_of(voxels, SIZE), None if starts[sample] else state)
        for name, value in (
            (f'out{step}', output.reshape(8, -1)),
            (f'state_dW{step}', state.weight),
            (f'state_db{step}', state.bias[:, None]),
        ):
            expected = recorded[name]
            assert (value - expected[sample]).abs().max() <= GATE * expected[sample].std()


class Layer:
    """f_s with the parameters of a SceneFusion, in float64, and its gradients by autograd."""

    def __init__(self, fusion: SceneFusion) -> None:
        self.fusion = fusion
        self.initial = [
            p.detach()[0].double() for p in (fusion.weight, fusion.bias, fusion.norm_weight, fusion.norm_bias)
        ]
        self.parameters = self.initial

    def __call__(self, columns: Tensor, parameters: list[Tensor]) -> Tensor:
        weight, bias, scale, shift = parameters
        mapped = weight @ columns + bias
        centred = mapped - mapped.mean(0)
        return scale * centred / (centred.square().mean(0) + 1e-6).sqrt() + shift + columns

    def step(self, voxels: Tensor) -> Tensor:
        """One frame: all parameters move, the frame's output is made, and scale and shift move back [DIFF 10]."""
        query, key, value = (
            linear.weight.detach().double() @ voxels.double().t()
            for linear in (self.fusion.query, self.fusion.key, self.fusion.value)
        )
        leaves = [p.clone().requires_grad_() for p in self.parameters]
        loss = (self(key, leaves) - value).square().mean()
        moved = [p.detach() - gradient for p, gradient in zip(leaves, torch.autograd.grad(loss, leaves), strict=True)]
        self.parameters = moved[:2] + self.initial[2:]
        return self(query, moved).t()


@pytest.fixture
def fusion() -> Iterator[SceneFusion]:
    torch.manual_seed(3)
    module = SceneFusion(8).requires_grad_(False)
    for parameter in (module.bias, module.norm_weight, module.norm_bias):
        parameter.add_(0.2 * torch.randn_like(parameter))
    with torch.inference_mode():
        yield module


@pytest.mark.parametrize('chunk', [7, 90, 1000])
def test_three_frames_against_autograd(fusion: SceneFusion, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(volume, 'CHUNK', chunk)
    layer, state = Layer(fusion), None
    for _ in range(3):
        voxels = 2 * torch.rand(90, 8)
        output, state = fusion(volume_of(voxels, SIZE), state)
        with torch.inference_mode(False):
            expected = layer.step(voxels.clone())
        taken_weight, taken_bias = (a - b for a, b in zip(layer.initial, layer.parameters[:2], strict=False))
        torch.testing.assert_close(output.reshape(8, -1).t().double(), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state.weight.double(), taken_weight, rtol=1e-3, atol=1e-7)
        torch.testing.assert_close(state.bias.double(), taken_bias[:, 0], rtol=1e-3, atol=1e-7)
    assert taken_weight.abs().max() > 1e-3


def test_input_and_state_stay_as_they_were(fusion: SceneFusion) -> None:
    volume = torch.rand(1, 8, *SIZE)
    _, state = fusion(volume, None)
    kept = volume.clone(), state.weight.clone(), state.bias.clone()
    first, _ = fusion(volume, state)
    assert all(torch.equal(a, b) for a, b in zip((volume, state.weight, state.bias), kept, strict=True))
    assert torch.equal(fusion(volume, state)[0], first)
    assert not torch.equal(fusion(volume, None)[0], first)
