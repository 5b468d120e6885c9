"""Features kept in 16 bits: how near they stay, and that zero and what is no number stay what they are."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor

from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.fixed_point import FixedPoint


@pytest.fixture
def features() -> Tensor:
    """What a ReLU gives, each channel in a range of its own."""
    torch.manual_seed(0)
    ranges = torch.logspace(-3, 2, 20).view(1, -1, 1, 1)
    return (torch.randn(3, 20, 7, 11) * ranges).relu_().contiguous(memory_format=torch.channels_last)


@pytest.fixture(params=['compiled', 'plain'])
def _form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == 'plain':
        monkeypatch.setattr(compiled, 'usable', lambda *_: False)


@torch.inference_mode()
@pytest.mark.usefixtures('_form')
def test_no_feature_moves_by_more_than_half_a_step(features: Tensor) -> None:
    kept = FixedPoint.of(features)
    assert kept.codes.dtype == torch.int16
    assert kept.codes.nbytes == features.nbytes // 2
    moved = (kept.features() - features).abs()
    assert (moved <= 0.5001 * features.amax((2, 3), keepdim=True) / 65535).all()
    assert moved.max() > 0


@torch.inference_mode()
@pytest.mark.usefixtures('_form')
def test_zero_stays_zero_and_nothing_else_becomes_it(features: Tensor) -> None:
    """The cost counts 5 more where a feature is exactly zero."""
    features[0, 1, 2, 3], features[1, 4] = 1e-12, 0
    kept = FixedPoint.of(features).features()
    assert torch.equal(kept == 0, features == 0)
    assert not kept[1, 4].any()


@torch.inference_mode()
def test_compiled_and_plain_give_the_same_bits(features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = FixedPoint.of(features)
    decoded = fast.features()
    with monkeypatch.context() as patch:
        patch.setattr(compiled, 'usable', lambda *_: False)
        plain = FixedPoint.of(features)
        assert torch.equal(plain.features(), decoded)
    assert torch.equal(plain.codes, fast.codes)
    assert torch.equal(plain.step, fast.step)


def test_it_can_be_sent_to_another_process(features: Tensor) -> None:
    """As trainings of several processes do."""
    kept = FixedPoint.of(features)
    assert torch.equal(pickle.loads(pickle.dumps(kept.codes)), kept.codes)  # noqa: S301 (our own)


@torch.inference_mode()
@pytest.mark.usefixtures('_form')
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_no_number_is_seen_in_its_step(features: Tensor, value: float) -> None:
    features[2, 5, 6, 10] = value
    finite = FixedPoint.of(features).step.isfinite()
    assert not finite[2, 5]
    assert finite.sum() == finite.numel() - 1


@torch.inference_mode()
@pytest.mark.usefixtures('_form')
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_any_layout_is_taken(features: Tensor, layout: torch.memory_format) -> None:
    torch.testing.assert_close(
        FixedPoint.of(features.contiguous(memory_format=layout)).features(), FixedPoint.of(features).features()
    )


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bits(features: Tensor) -> None:
    with torch.inference_mode():
        here, there = FixedPoint.of(features), FixedPoint.of(features.cuda())
        assert torch.equal(there.codes.cpu(), here.codes)
        assert torch.equal(there.features().cpu(), here.features())
