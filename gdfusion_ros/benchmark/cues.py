"""What the four fusions cost, and what their gradients would cost by autograd (table 6 of the paper)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.benchmark.network import synchronize
from gdfusion_ros.model.layers.volume import rows, volume_of
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.ops.motion_step import LIMIT, motion_step
from gdfusion_ros.model.ops.motion_step.reference import STEP_SIZE
from gdfusion_ros.model.ops.scene_layer.reference import EPSILON
from gdfusion_ros.model.ops.warp.reference import sampled_positions
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.temporal.motion import MotionFusion
from gdfusion_ros.model.temporal.scene import SceneFusion

REPEATS = 5


@dataclass(frozen=True)
class GradientCost:
    """One fusion's gradient step on the same frame, both ways.

    Attributes:
        cue: motion or scene.
        closed_form, autograd: median seconds.
        difference: largest one between both, relative to the largest gradient.
    """

    cue: str
    closed_form: float
    autograd: float
    difference: float


@torch.no_grad()
def gradients(network: OccupancyNetwork, tick: Callable[[], object] = lambda: None) -> list[GradientCost]:
    """The gradient steps of a network's second frame by their closed forms and by autograd, by turns."""
    motion, scene = network.fusion('motion'), network.fusion('scene')
    assert isinstance(motion, MotionFusion)
    assert isinstance(scene, SceneFusion)
    given: dict[torch.nn.Module, tuple[Any, ...]] = {}
    hooks = [fusion.register_forward_pre_hook(given.__setitem__) for fusion in (motion, scene)]
    runner = SequenceRunner(network)
    for frame in trial_frames(network, 2):
        runner.predict(frame)
    for hook in hooks:
        hook.remove()
    volume, alignment, moved, *_ = given[motion]
    offsets, _ = motion(volume, alignment, None)
    # Random networks leave empty voxels on corners, where no slope is.
    offsets[:, : motion.offset.out_channels] += 0.3 * torch.rand(
        len(offsets), motion.offset.out_channels, device=offsets.device
    )
    fused, taken = given[scene]
    layer = rows(fused), scene.weight[0] - taken.weight, scene.bias[0, :, 0] - taken.bias
    step = offsets, moved.offsets, alignment, (*volume.shape[2:], 1)[:3], motion.offset.out_channels
    return [
        _compared(
            'motion', lambda: [motion_step(*step)], lambda: [motion_step_by_autograd(*step)], network.device, tick
        ),
        _compared(
            'scene',
            lambda: scene.gradients(*layer),
            lambda: scene_gradients_by_autograd(scene, *layer),
            network.device,
            tick,
        ),
    ]


def _compared(
    cue: str,
    closed_form: Callable[[], Sequence[Tensor]],
    autograd: Callable[[], Sequence[Tensor]],
    device: torch.device,
    tick: Callable[[], object],
) -> GradientCost:
    pairs = list(zip(closed_form(), autograd(), strict=True))
    scale = max(float(one.abs().max()) for one, _ in pairs)
    difference = max(float((one - other).abs().max()) for one, other in pairs) / scale
    times: dict[Callable[[], Sequence[Tensor]], list[float]] = {closed_form: [], autograd: []}
    for _ in range(REPEATS):
        for way, seconds in times.items():
            synchronize(device)
            start = time.perf_counter()
            way()
            synchronize(device)
            seconds.append(time.perf_counter() - start)
        tick()
    return GradientCost(cue, statistics.median(times[closed_form]), statistics.median(times[autograd]), difference)


def motion_step_by_autograd(
    offsets: Tensor, history: Tensor, previous_from_current: Tensor, size: tuple[int, ...], axes: int
) -> Tensor:
    """What ``motion_step`` gives, by autograd through grid_sample (equations 14 to 17 of the paper)."""
    last = offsets.new_tensor([max(size[axis] - 1, 1) for axis in (1, 0, 2)])
    with torch.enable_grad():
        leaf = offsets.clone().requires_grad_()
        positions = sampled_positions(leaf, previous_from_current.to(leaf.device), size)
        grid = (2 * positions / last - 1).roll(1, 1).view(1, *size, 3)
        sampled = F.grid_sample(volume_of(history, size), grid, padding_mode='border', align_corners=True)
        loss = (rows(sampled) - leaf)[:, :axes].square().mean(-1).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    inside = ((positions >= 0) & (positions <= last)).all(-1, keepdim=True)
    return torch.where(inside, offsets - STEP_SIZE * gradient.clamp(-LIMIT, LIMIT), offsets)


def scene_gradients_by_autograd(fusion: SceneFusion, voxels: Tensor, weight: Tensor, bias: Tensor) -> Sequence[Tensor]:
    """What ``SceneFusion.gradients`` gives, by autograd through the loss of equation 7 of the paper."""
    with torch.enable_grad():
        given = (weight, bias, fusion.norm_weight[0, :, 0], fusion.norm_bias[0, :, 0])
        leaves = weight, bias, scale, shift = [value.detach().clone().requires_grad_() for value in given]
        key, value = (F.linear(voxels, linear.weight.detach()) for linear in (fusion.key, fusion.value))
        predicted = F.layer_norm(F.linear(key, weight, bias), bias.shape, scale, shift, EPSILON) + key
        return torch.autograd.grad((predicted - value).square().mean(), leaves)
