"""The large-kernel block: the recording, both forms, and what the released form does otherwise than its paper."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdfusion_ros.model.layers.large_kernel import DILATED, EDGE, LARGE_KERNEL, LargeKernelBlock, PlanarKernel
from gdfusion_ros.model.runtime.prepare import fuse
from gdfusion_ros.model.weights.keys import renamed

GATE = 1e-4


@pytest.fixture
def block() -> LargeKernelBlock:
    """With weights and statistics that matter."""
    torch.manual_seed(0)
    made = LargeKernelBlock(8).eval().requires_grad_(False)
    for name, value in made.state_dict().items():
        if value.is_floating_point() and value.dim() != 2 and 'conv' not in name:
            value.copy_(0.5 + torch.rand(value.shape))
    return made


@torch.inference_mode()
def test_recorded_block_before_and_after_merging(recording: Callable[[str], Any]) -> None:
    recorded = recording('gsdocc_rep_block')
    block = LargeKernelBlock(8).eval().requires_grad_(False)
    recorded.load(block, LARGE_KERNEL)
    assert recorded.error('dw_out', block.planar(recorded['x'])) <= GATE
    assert recorded.error('out_before', block(recorded['x'])) <= GATE
    block.merge()
    assert recorded.error('out_after', block(recorded['x'])) <= GATE
    merged = {renamed(key, LARGE_KERNEL): value for key, value in block.state_dict().items()}
    assert set(merged) == {name.removeprefix('merged/') for name in recorded.values if name.startswith('merged/')}
    for name, value in merged.items():
        assert recorded.error(f'merged/{name}', value) <= GATE, name


def test_fusing_merges_once(block: LargeKernelBlock) -> None:
    volume = torch.randn(1, 8, 13, 12, 3)
    expected, apart = block(volume), copy.deepcopy(block)
    fuse(block)
    merged = copy.deepcopy(block.state_dict())
    fuse(block)
    assert all(torch.equal(value, merged[name]) for name, value in block.state_dict().items())
    assert not any(isinstance(part, nn.BatchNorm3d) for part in block.modules())
    assert len(block.kernels) == 1
    torch.testing.assert_close(block(volume), expected, rtol=1e-4, atol=1e-4)
    assert not torch.equal(expected, volume)
    assert len(apart.kernels) == 1 + len(DILATED)


def test_what_learns_goes_on_learning_when_merged(block: LargeKernelBlock) -> None:
    block.requires_grad_(True).merge()
    assert all(weight.requires_grad for weight in block.parameters())


@pytest.mark.parametrize(('edge', 'step'), [(EDGE, 1), *DILATED])
def test_small_kernels_have_their_taps_in_the_large_ones_grid(edge: int, step: int) -> None:
    torch.manual_seed(0)
    kernel = PlanarKernel(3, edge, step).eval().requires_grad_(False)
    volume = torch.randn(1, 3, 14, 12, 2)
    weight, bias = kernel.folded()
    spread = F.conv3d(volume.double(), weight, bias, padding=(EDGE // 2, EDGE // 2, 0), groups=3)
    torch.testing.assert_close(spread.float(), kernel(volume), rtol=1e-4, atol=1e-5)


def by_definition(block: Any, x: Tensor) -> Tensor:
    """gsdocc.md §5 step by step, in float64, for one volume."""
    exact = copy.deepcopy(block).double()
    y = exact.norm(sum(kernel.bn(kernel.conv(x)) for kernel in exact.kernels))
    mean = y.mean((2, 3, 4)).flatten()
    hidden = (exact.gate.down.weight.flatten(1) @ mean + exact.gate.down.bias).relu()
    y = y * (exact.gate.up.weight.flatten(1) @ hidden + exact.gate.up.bias).view(1, -1, 1, 1, 1)
    voxels = y[0].flatten(1).t() @ exact.widen.weight.t() + exact.widen.bias
    voxels = 0.5 * voxels * (1 + torch.erf(voxels / 2**0.5))
    size = voxels.square().sum(0).sqrt()
    response = size / (size.mean() + 1e-6)
    voxels = (exact.response.weight.flatten() * response + 1) * voxels + exact.response.bias.flatten()
    narrowed = (voxels @ exact.narrow.weight.t()).t().view(x.shape)
    result: Tensor = x + exact.narrow_norm(narrowed) * exact.scale.weight.view(1, -1, 1, 1, 1)
    return result


def test_block_by_definition(block: LargeKernelBlock) -> None:
    volume = torch.randn(1, 8, 6, 5, 3).contiguous(memory_format=torch.channels_last_3d)
    expected = by_definition(block, volume.double())
    torch.testing.assert_close(block(volume).double(), expected, rtol=1e-4, atol=1e-4)
