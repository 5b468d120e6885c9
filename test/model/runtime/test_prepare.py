"""What is done to a network before it runs changes none of its numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.layers.fusing import FusibleSequential
from gdfusion_ros.model.layers.volume import VolumeNeck
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.runtime.prepare import fuse, prepare
from gdfusion_ros.model.sequence import SequenceRunner

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@pytest.mark.slow
@torch.inference_mode()
def test_a_prepared_network_gives_the_same_numbers(tiny: Any, drive: Any) -> None:
    fast = prepare(copy.deepcopy(tiny), torch.device('cpu'))
    runners = SequenceRunner(tiny), SequenceRunner(fast)
    for frame in drive.frames(3):
        plain, quick = (runner.predict(frame) for runner in runners)
        torch.testing.assert_close(quick.logits, plain.logits, rtol=1e-3, atol=1e-3)
        assert (quick.labels == plain.labels).float().mean() > 0.999


def test_only_the_norm_of_the_camera_vector_is_left(tiny: Any) -> None:
    assert sum(isinstance(module, NORMS) for module in tiny.modules()) > 50
    prepare(tiny, torch.device('cpu'))
    assert [name for name, module in tiny.named_modules() if isinstance(module, NORMS)] == ['depth.net.bn']


def test_a_prepared_network_is_in_evaluation_mode_channels_last_and_float32(tiny: Any) -> None:
    tiny.train()
    prepare(tiny, torch.device('cpu'))
    assert not any(module.training for module in tiny.modules() if not isinstance(module, nn.Identity))
    for name, parameter in tiny.named_parameters():
        assert not parameter.requires_grad, name
        assert parameter.dtype == torch.float32, name
        if parameter.dim() in (4, 5):
            layout = torch.channels_last if parameter.dim() == 4 else torch.channels_last_3d
            assert parameter.is_contiguous(memory_format=layout), name


def randomised(module: nn.Module) -> nn.Module:
    for child in module.modules():
        if isinstance(child, NORMS):
            child.running_mean, child.running_var = (
                torch.randn(child.num_features),
                0.5 + torch.rand(child.num_features),
            )
            nn.init.normal_(child.weight)
            nn.init.normal_(child.bias)
    return module.eval()


@torch.inference_mode()
def test_folding_by_blocks() -> None:
    torch.manual_seed(0)
    block = randomised(
        FusibleSequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            FusibleSequential(nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4)),
            nn.Conv2d(4, 4, 3, dilation=2, padding=2),
        )
    )
    x = torch.randn(2, 3, 8, 9)
    expected = block(x)
    fuse(block)
    assert not any(isinstance(module, NORMS) for module in block.modules())
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_norm_that_does_not_follow_its_convolution_stays() -> None:
    block = randomised(FusibleSequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)))
    x = torch.randn(2, 3, 5, 5)
    expected = block(x)
    fuse(block)
    assert sum(isinstance(module, NORMS) for module in block.modules()) == 2
    assert torch.equal(block(x), expected)


@torch.inference_mode()
def test_the_folded_neck_adds_its_bias_once() -> None:
    torch.manual_seed(0)
    neck = randomised(VolumeNeck((4, 8), 6))
    levels = [torch.randn(1, 4, 4, 6, 2), torch.randn(1, 8, 2, 3, 1)]
    expected = neck(levels)
    fuse(neck)
    torch.testing.assert_close(neck(levels), expected, rtol=1e-4, atol=1e-5)


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert select_device('auto') == select_device('cpu') == torch.device('cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert select_device('auto') == select_device('cuda') == torch.device('cuda')
    assert select_device('cuda:1') == torch.device('cuda:1')


@pytest.mark.parametrize('name', ['cuda', 'cuda:0', 'cuda:7'])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(GdfusionError, match=f"'{name}' is not there.*'cpu'"):
        select_device(name)


@pytest.mark.parametrize('name', ['', 'gpu', 'cpu:0', 'cuda:', 'cuda:-1', 'cuda:one', 'CPU', 'mps'])
def test_a_device_that_is_none(name: str) -> None:
    with pytest.raises(GdfusionError, match='unknown device'):
        select_device(name)
