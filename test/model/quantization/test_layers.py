"""Layers in 8 bits: what they mean, and what oneDNN makes of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import graph_form
from gdfusion_ros.model.heads.mlp import OccupancyHead
from gdfusion_ros.model.layers.blocks2d import ResidualBlock2d
from gdfusion_ros.model.layers.fusing import FusibleSequential
from gdfusion_ros.model.layers.resnet import BasicBlock, Bottleneck
from gdfusion_ros.model.layers.volume import ResidualBlock3d
from gdfusion_ros.model.ops.codes import codes
from gdfusion_ros.model.quantization.choice import put
from gdfusion_ros.model.quantization.layers import Float, InputRange, QuantizedConv, chain, quantized
from gdfusion_ros.model.runtime.prepare import fuse

LAYERS: dict[str, tuple[Callable[[], Float], tuple[int, ...]]] = {
    'map': (partial(nn.Conv2d, 16, 24, 3, padding=1), (2, 16, 9, 7)),
    'strided, without a bias': (partial(nn.Conv2d, 16, 20, 3, 2, 1, bias=False), (1, 16, 8, 11)),
    'dilated': (partial(nn.Conv2d, 16, 8, 3, padding=3, dilation=3), (1, 16, 9, 9)),
    'volume': (partial(nn.Conv3d, 16, 16, 3, padding=1), (1, 16, 6, 5, 4)),
    'rows': (partial(nn.Linear, 32, 19), (50, 32)),
    'rows of rows': (partial(nn.Linear, 32, 19), (2, 7, 32)),
}


def drawn(shape: tuple[int, ...], lower: float) -> Tensor:
    """From about ``lower`` to 1; channels last, as the network's features are."""
    features = lower + (1 - lower) * torch.rand(shape, generator=torch.Generator().manual_seed(3))
    return features if len(shape) < 4 else features.movedim(1, -1).contiguous().movedim(-1, 1)


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest) -> tuple[Float, tuple[int, ...]]:
    make, shape = LAYERS[request.param]
    torch.manual_seed(2)
    return make().requires_grad_(False), shape


@pytest.mark.parametrize('lower', [0.0, -0.7])
def test_integers_give_what_they_stand_for(case: tuple[Float, tuple[int, ...]], lower: float) -> None:
    layer, shape = case
    given = drawn(shape, lower)
    eight = quantized(layer, InputRange(lower, 1.0))
    with torch.inference_mode():
        out, right = eight(given), layer(given)
        assert out.shape == right.shape
        torch.testing.assert_close(out, eight.reference(given), rtol=0, atol=1e-5)
        assert 0 < float((out - right).square().mean().sqrt() / right.std()) < 0.02
        with graph_form():
            assert torch.equal(eight(given), eight.reference(given))


def test_a_range_is_narrowed_from_its_farther_end() -> None:
    assert InputRange(-1.0, 8.0).narrowed() == InputRange(-1.0, 4.0)
    assert InputRange(-8.0, 6.0).narrowed() == InputRange(-4.0, 4.0)


def test_beyond_the_range_counts_its_end() -> None:
    step, zero = InputRange(-1.0, 1.55).steps()
    assert step == pytest.approx(0.01)
    assert zero == 100
    given = torch.tensor([-9.0, -1.0, 0.0, 0.004, 0.006, 1.55, 9.0, float('inf')])
    assert codes(given, step, zero).tolist() == [0, 0, 100, 100, 101, 255, 255, 255]


def test_a_copy_and_other_weights_compute_as_what_never_ran() -> None:
    first, second = (quantized(nn.Conv2d(16, 8, 3).requires_grad_(False), InputRange(0.0, top)) for top in (1.0, 2.0))
    given = drawn((1, 16, 6, 6), 0.0)
    with torch.inference_mode():
        before = first(given)
        assert torch.equal(copy.deepcopy(first)(given), before)
        first.load_state_dict(second.state_dict())
        assert torch.equal(first(given), second(given))
        assert not torch.equal(first(given), before)


def test_channels_without_weights_give_their_bias() -> None:
    layer: Any = nn.Conv2d(16, 2, 1).requires_grad_(False)
    layer.weight[1] = 0
    eight = quantized(layer)
    assert isinstance(eight, QuantizedConv)
    with torch.inference_mode():
        assert torch.equal(eight(drawn((1, 16, 3, 3), 0.0))[0, 1], layer.bias[1].expand(3, 3))


CHAINS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    'basic block': (BasicBlock(16, 16, 1), (1, 16, 9, 7)),
    'bottleneck': (Bottleneck(16, 16, 2), (1, 16, 9, 7)),
    'block of maps': (ResidualBlock2d(16, 24), (1, 16, 9, 7)),
    'block of volumes': (ResidualBlock3d(16, 16, 1, downsample=False), (1, 16, 6, 5, 4)),
    'sequence': (
        FusibleSequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()),
        (1, 16, 9, 7),
    ),
    'head': (OccupancyHead(nn.Conv3d, 16, 32, 5), (1, 16, 4, 5, 3)),
}


@pytest.mark.parametrize('name', CHAINS)
def test_layers_that_follow_each_other_pass_bytes_on(name: str) -> None:
    module, shape = CHAINS[name]
    block: Any = copy.deepcopy(module).eval().requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for part in block.modules():
            getattr(part, 'reset_parameters', lambda: None)()
    fuse(block)
    given, types = 3 * drawn(shape, 0.0), []
    for layer in [each for each, part in block.named_modules() if isinstance(part, (nn.Conv2d, nn.Conv3d, nn.Linear))]:
        put(block, layer, quantized(block.get_submodule(layer), InputRange(0.0, 3.0)))
        block.get_submodule(layer).register_forward_hook(lambda _, __, out: types.append(out.dtype))

    def computed() -> Tensor:
        types.clear()
        with torch.inference_mode():
            out: Tensor = block.classify(block.features(given)) if name == 'head' else block(given)
        return out

    apart = computed()
    assert set(types) == {torch.float32}
    chain(block)
    linked = computed()
    assert types.count(torch.uint8) == len(block.chains())
    assert linked.dtype == torch.float32
    torch.testing.assert_close(linked, apart, rtol=0, atol=0.05 * float(apart.std()))
    second = block.chains()[-1][1]
    second.load_state_dict({**second.state_dict(), 'input_step': 2 * second.input_step})
    # Steps twice as wide, which the first one knows of: else all it gives would count twice.
    torch.testing.assert_close(computed(), apart, rtol=0, atol=0.2 * float(apart.std()))


def test_floats_are_given_where_zero_is_not_the_lowest_byte() -> None:
    """Then bytes end where no ReLU does."""
    first, second = (quantized(nn.Conv2d(16, 16, 1), InputRange(-1.0, 1.0)) for _ in range(2))
    first.give_codes_to(second)
    with torch.inference_mode():
        assert first(drawn((1, 16, 3, 3), -1.0)).dtype == torch.float32
