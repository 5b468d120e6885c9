"""Scene-level fusion (paper section 4.2, equations 7 to 13; bevdetocc_gf.md §7).

A layer whose weights are the memory: each frame takes one gradient step on a self-supervised loss, then the volume goes
through the updated layer. The released network differs from the paper: the loss reads the fused volume [DIFF 9]; the
steps of weight and bias accumulate, those of the norm's scale and shift count for the current frame only [DIFF 10];
gradients are divided by n c, and Delta_1 has no factor gamma [DIFF 11].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.layers.volume import by_chunks, chunks, rows, volume_of
from gdfusion_ros.model.ops.scene_layer import loss_slopes, normed_onto
from gdfusion_ros.model.weights.keys import Table

STEP_SIZE = 1.0
NEUTRAL_SCALE = 0.01


@dataclass(frozen=True, eq=False)
class SceneState:
    """H_s: what the gradient steps have taken from the weight (C, C) and the bias (C,) of the scene layer."""

    weight: Tensor
    bias: Tensor


class SceneFusion(nn.Module):
    """f_s of equation 8, its update by equation 12 and its forward by equation 13."""

    def __init__(self, channels: int) -> None:
        """``channels`` of the volume; the parameters are S^0 and the maps Q_o, Q_1, Q_2."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, channels) / channels**0.5)
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))
        self.norm_weight = nn.Parameter(torch.ones(1, channels, 1))
        self.norm_bias = nn.Parameter(torch.zeros(1, channels, 1))
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)

    @torch.no_grad()
    def start_neutral(self) -> None:
        """Pass on the volume, and next to nothing of what the layer makes of it; the loss has nothing to explain."""
        nn.init.eye_(self.query.weight)
        nn.init.constant_(self.norm_weight, NEUTRAL_SCALE)
        self.value.weight.copy_(self.key.weight)

    def forward(self, volume: Tensor, state: SceneState | None) -> tuple[Tensor, SceneState]:
        """The volume through the updated layer (1, C, Y, X, Z), and the state H_s.

        Args:
            volume: (1, C, Y, X, Z), the fused V_f.
            state: the last frame's; None at a start.
        """
        voxels = rows(volume)
        taken_weight = self.weight.new_zeros(()) if state is None else state.weight
        taken_bias = self.bias.new_zeros(()) if state is None else state.bias
        step = self.gradients(voxels, self.weight[0] - taken_weight, self.bias[0, :, 0] - taken_bias)
        updated = SceneState(taken_weight + STEP_SIZE * step[0], taken_bias + STEP_SIZE * step[1])
        scale = self.norm_weight[0, :, 0] - STEP_SIZE * step[2]
        shift = self.norm_bias[0, :, 0] - STEP_SIZE * step[3]
        output = self.apply_layer(voxels, updated, scale, shift)
        return volume_of(output, volume.shape[2:]), updated

    def gradients(self, voxels: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of the loss (eq. 7) for weight (C, C), bias, norm scale and norm shift (C,), in closed form.

        Each of W Q_1 V + b and Q_2 V - Q_1 V is one matrix product of the voxels; both come from one. Centring the
        rows of the first beforehand takes the mean over the channels out of the loop.
        """
        channels = voxels.shape[1]
        centring = torch.eye(channels, device=voxels.device) - 1 / channels
        gamma, beta = self.norm_weight[0, :, 0], self.norm_bias[0, :, 0]
        maps = torch.cat([centring @ weight @ self.key.weight, self.value.weight - self.key.weight]).t().contiguous()
        offsets = torch.cat([centring @ bias, -beta])
        covariance = voxels.new_zeros(channels, channels)
        sums = voxels.new_zeros(3, channels)
        for part in chunks(voxels):
            slopes, part_sums = loss_slopes(torch.addmm(offsets, part, maps), gamma)
            covariance = covariance + slopes.t() @ part
            sums = sums + part_sums
        factor = 2 / (len(voxels) * channels)
        grad_bias, grad_scale, grad_shift = factor * sums
        return factor * covariance @ self.key.weight.t(), grad_bias, grad_scale, grad_shift

    def apply_layer(self, voxels: Tensor, state: SceneState, scale: Tensor, shift: Tensor) -> Tensor:
        """f_s(Q_o V) with the updated parameters (eq. 13), (n, C)."""
        channels = voxels.shape[1]
        centring = torch.eye(channels, device=voxels.device) - 1 / channels
        maps = torch.cat([centring @ (self.weight[0] - state.weight) @ self.query.weight, self.query.weight])
        maps = maps.t().contiguous()
        offsets = torch.cat([centring @ (self.bias[0, :, 0] - state.bias), shift])

        def layer(part: Tensor) -> Tensor:
            return normed_onto(torch.addmm(offsets, part, maps), scale)

        return by_chunks(layer, voxels)


SCENE: Table = {
    'weight': 'scene_his_learnable_weight',
    'bias': 'scene_his_learnable_bias',
    'norm_': 'scene_his_norm_',
    'query.': 'scene_his_q.',
    'key.': 'scene_his_k.',
    'value.': 'scene_his_v.',
}
