"""Closed forms and autograd give the same gradients, and both are timed."""

from __future__ import annotations

import pytest
import torch

from gdfusion_ros.benchmark import cues
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.bevdetocc import Sizes, bevdetocc
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.scene import SceneFusion
from gdfusion_ros.model.weights.initialise import untrained

SPEC = NetworkSpec(
    name='tiny',
    image_size=(32, 64),
    cameras=2,
    depth=DepthBins(first=1.0, step=4.0, count=8),
    feature_stride=16,
    context_channels=8,
    grid=VoxelGrid(lower=(-8.0, -8.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(16, 12, 4)),
)
SIZES = Sizes(
    image_channels=16, pyramid_channels=8, encoder_channels=(8, 12), encoder_blocks=(1, 1), classifier_channels=12
)


@pytest.mark.slow
def test_both_gradients_of_a_frame() -> None:
    torch.manual_seed(0)
    network = bevdetocc(SPEC, SIZES)
    untrained(network)
    ticks: list[int] = []
    motion, scene = cues.gradients(prepare(network, torch.device('cpu')), lambda: ticks.append(1))
    assert (motion.cue, scene.cue) == ('motion', 'scene')
    assert len(ticks) == 2 * cues.REPEATS
    for cost in (motion, scene):
        assert cost.difference < 1e-4
        assert cost.closed_form > 0
        assert cost.autograd > 0


def test_a_wrong_gradient_would_show() -> None:
    torch.manual_seed(0)
    fusion, voxels = SceneFusion(6).requires_grad_(False), torch.randn(50, 6)
    weight, bias = fusion.weight[0], fusion.bias[0, :, 0]
    right = cues.scene_gradients_by_autograd(fusion, voxels, weight, bias)
    for one, other in zip(fusion.gradients(voxels, weight, bias), right, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    fusion.norm_weight.mul_(1.1)
    assert not torch.allclose(fusion.gradients(voxels, weight, bias)[0], right[0], rtol=1e-3)
