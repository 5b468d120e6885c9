"""Voxel-level fusion (paper section 4.5, equation 23; bevdetocc_gf.md §5).

The released network differs from the paper: instead of the linear A warp(H) + B V, each input gets an embedding of the
time since the sequence's start and a shared 1x1x1 convolution with batch normalisation and ReLU, then both are
concatenated and mixed by another [DIFF 6]; at a start the output is V^t while the state is the fused volume [DIFF 7].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gdfusion_ros.model.graph_form import unless_first
from gdfusion_ros.model.layers.pointwise import applied, folded_weights, pointwise
from gdfusion_ros.model.layers.volume import by_chunks, rows, volume_of
from gdfusion_ros.model.ops.warp import warp

SECONDS_PER_FRAME = 0.5


@dataclass(frozen=True, eq=False)
class VoxelState:
    """H_v: fused volume as rows (Y X Z, C), and how many frames of the sequence it has seen."""

    volume: Tensor
    frames: int


class VoxelFusion(nn.Module):
    """The current volume fused with the warped fused volume of the last frame."""

    def __init__(self, channels: int, conv: type[nn.Conv2d | nn.Conv3d] = nn.Conv3d) -> None:
        """``channels`` of the volume, or with Conv2d of a map."""
        super().__init__()
        self.channels = channels
        self.time_embedding = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        self.align = pointwise(conv, channels, channels)
        self.merge = pointwise(conv, 2 * channels, channels)

    @torch.no_grad()
    def start_neutral(self) -> None:
        """Take the mean of both inputs, and no notice of the time; random weights would spoil what goes through."""
        for layer in (*self.time_embedding, *self.align, *self.merge):
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d)):
                nn.init.zeros_(layer.get_parameter('bias'))
            elif isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
                layer.reset_parameters()
                # Neutral as they are: they are not to be replaced by a frame's own.
                layer.get_buffer('num_batches_tracked').fill_(1)
        nn.init.zeros_(self.time_embedding[-1].get_parameter('weight'))
        one = torch.eye(self.channels)
        for block, weight in ((self.align, one), (self.merge, torch.cat([one, one], 1) / 2)):
            kernel = block[0].get_parameter('weight')
            kernel.copy_(weight.view_as(kernel))

    def forward(
        self,
        volume: Tensor,
        offsets: Tensor | None,
        previous_from_current: Tensor,
        state: VoxelState | None,
        first: Tensor | None = None,
    ) -> tuple[Tensor, VoxelState]:
        """Fused volume (1, C, Y, X, Z), and the state H_v.

        Args:
            volume: (1, C, Y, X, Z), V^t, or a map (1, C, Y, X).
            offsets: (Y X Z, 3) M_f of the motion fusion [voxels]; None without it.
            previous_from_current: (4, 4) voxel index now -> index in the previous grid; the identity at a start.
            state: the last frame's; None at a start.
            first: of a graph, see ``unless_first``.
        """
        frames = 0 if state is None else state.frames
        history = rows(volume) if state is None else unless_first(first, state.volume, rows(volume))
        size = tuple(volume.shape[2:])
        warped = warp(history, offsets, previous_from_current, (*size, 1)[:3])
        fused = self.merged(rows(volume), warped, frames)
        output = volume if state is None else unless_first(first, volume_of(fused, size), volume)
        return output, VoxelState(fused, frames + 1)

    def merged(self, voxels: Tensor, history: Tensor, frames: int) -> Tensor:
        """What the current voxels (n, C) and the warped history (n, C) become together, (n, C)."""
        return (self._learning if self.training else self._constant)(voxels, history, frames)

    def _learning(self, voxels: Tensor, history: Tensor, frames: int) -> Tensor:
        """The layers one by one; the batch normalisation of ``align`` sees both inputs as one batch."""
        embedded = torch.stack([voxels, history]) + self.embeddings(frames, voxels.device)[:, None]
        now, then = applied(self.align, embedded.flatten(0, 1)).chunk(2)
        return applied(self.merge, torch.cat([now, then], -1))

    def _constant(self, voxels: Tensor, history: Tensor, frames: int) -> Tensor:
        """The same with running statistics: two matrix products.

        The embedding of time is a constant of the frame, so it goes into the bias of the convolution that follows.
        """
        align, align_bias = folded_weights(self.align)
        merge, merge_bias = folded_weights(self.merge)
        biases = align_bias + self.embeddings(frames, voxels.device) @ align.t()

        def fused(*both: Tensor) -> Tensor:
            pair = [torch.addmm(bias, part, align.t()) for bias, part in zip(biases, both, strict=True)]
            return torch.addmm(merge_bias, torch.cat(pair, -1).relu_(), merge.t()).relu_()

        return by_chunks(fused, voxels, history)

    def embeddings(self, frames: int, device: torch.device) -> Tensor:
        """(2, C) embeddings of the current frame's and the history's time since the start; ``frames`` lie between."""
        times = torch.stack([torch.as_tensor(frames), torch.as_tensor(frames - 1).clamp(min=0)]) * SECONDS_PER_FRAME
        embedded: Tensor = self.time_embedding(sinusoid(times, self.channels).to(device, non_blocking=True))
        return embedded


def sinusoid(times: Tensor, channels: int) -> Tensor:
    """(…,) times [s] -> (…, channels): sin and cos of the times at falling frequencies, interleaved."""
    frequency = 10000 ** (-torch.arange(0, channels, 2, dtype=torch.float32) / channels)
    phase = times[..., None] * frequency
    return torch.stack([phase.sin(), phase.cos()], -1).flatten(-2)
