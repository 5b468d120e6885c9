"""Memory slot of the networks that keep their last volumes or maps: a queue (bevdetocc_sf.md §3, alocc.md §9.6).

Every frame, all that is kept is sampled again where the current voxels lie in it, so that what is n frames old has been
sampled n times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.alignment import history_alignment, index_transform, plane_transform
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.graph_form import unless_first
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.layers.pointwise import applied, folded_weights, pointwise
from gdfusion_ros.model.layers.volume import by_chunks, rows, volume_of
from gdfusion_ros.model.ops.warp import warp
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.temporal.voxel import SECONDS_PER_FRAME


@dataclass(frozen=True, eq=False)
class QueueState:
    """What is kept: (voxels, C) rows of as many volumes as the queue is long, the newest first, none of them fused.

    ``frames`` of the sequence have been seen; before its first one, the first stands in their place. Where nothing is
    kept, the frame to come stands in the place of all, as if seen a frame ago.
    """

    volumes: tuple[Tensor, ...]
    frames: int

    @property
    def newest(self) -> Tensor:
        """What the last frame has added; the others are samples of what was there."""
        return self.volumes[0]


class QueueMemory(nn.Module):
    """The current volume mixed with those of the last frames, each told its age, by two layers over the voxels."""

    def __init__(
        self,
        grid: VoxelGrid,
        channels: int,
        length: int,
        *,
        out_channels: int | None = None,
        conv: type[nn.Conv2d | nn.Conv3d] = nn.Conv3d,
    ) -> None:
        """``channels`` of the volume, or with Conv2d of the map; as many come out where nothing else is said."""
        super().__init__()
        self.align = pointwise(conv, channels + 1, channels)
        self.merge = pointwise(conv, (length + 1) * channels, out_channels or channels)
        self._grid, self._length = grid, length
        self._transform = plane_transform if conv is nn.Conv2d else index_transform

    def geometry(self, calibration: Calibration, previous: Previous | None) -> Tensor:
        """(4, 4) voxel index now -> index in the previous grid, on the network's device; the identity at a start."""
        found = history_alignment(self._transform, self._grid, calibration, previous)
        return found.to(self.align[0].get_parameter('weight').device, non_blocking=True)

    def forward(
        self, volume: Tensor, alignment: Tensor, state: QueueState | None, run: Pass
    ) -> tuple[Tensor, QueueState]:
        """The volume (1, C, Y, X, Z) or map (1, C, Y, X) mixed with what is kept, and what is to be kept."""
        size, current = tuple(volume.shape[2:]), rows(volume)
        if state is not None and not state.volumes:  # it was emptied
            state = QueueState((current.detach(),) * self._length, state.frames)
        with run.probe.stage('queue'):
            with torch.no_grad():  # what is kept is a constant to whoever trains
                past = self._past(current.detach(), alignment, (*size, 1)[:3], state, run)
            frames = 0 if state is None else state.frames
            mixed = volume_of(self.mixed([current, *past], frames), size)
        run.probe.record('voxel_out', mixed)
        return mixed, QueueState((current.detach(), *past[:-1]), frames + 1)

    def _past(
        self, current: Tensor, alignment: Tensor, size: tuple[int, ...], state: QueueState | None, run: Pass
    ) -> list[Tensor]:
        """All volumes before the current one, as they lie now."""
        if state is None:
            return [current] * self._length
        past = []
        for volume, older in zip_longest(state.volumes, state.volumes[1:]):
            past.append(unless_first(run.first, warp(volume, None, alignment, size), current))
            if volume is not older:  # at the start of a sequence, one stands for many
                run.read(volume)
        return past

    def mixed(self, volumes: Sequence[Tensor], frames: int) -> Tensor:
        """What the volumes (voxels, C), the current one first, become together, (voxels, out).

        ``frames`` of the sequence lie before the current one; none is older than its first.
        """
        ages = torch.arange(self._length + 1, device=volumes[0].device).clamp(max=frames) * SECONDS_PER_FRAME
        return (self._learning if self.training else self._constant)(volumes, ages)

    def _learning(self, volumes: Sequence[Tensor], ages: Tensor) -> Tensor:
        """The layers one by one; the batch normalisation of ``align`` sees all volumes as one batch."""
        aged = [torch.cat([volume, age.expand(len(volume), 1)], 1) for volume, age in zip(volumes, ages, strict=True)]
        aligned = applied(self.align, torch.cat(aged)).chunk(len(volumes))
        return applied(self.merge, torch.cat(aligned, 1))

    def _constant(self, volumes: Sequence[Tensor], ages: Tensor) -> Tensor:
        """The same with running statistics. Both layers are linear: each volume adds its share, and nothing is stacked.

        An age is a constant of the frame, so it goes into the bias.
        """
        align, align_bias = folded_weights(self.align)
        merge, merge_bias = folded_weights(self.merge)
        biases = align_bias + ages[:, None] * align[:, -1]
        kernel, shares = align[:, :-1].t(), merge.t().chunk(len(volumes))

        def mixed(*parts: Tensor) -> Tensor:
            total = merge_bias
            for part, bias, share in zip(parts, biases, shares, strict=True):
                total = torch.addmm(total, torch.addmm(bias, part, kernel).relu_(), share)
            return total.relu_()

        return by_chunks(mixed, *volumes)

    def emptied(self, state: QueueState | None) -> QueueState | None:
        """A queue of which nothing is kept, of a sequence that goes on."""
        return None if state is None else QueueState((), 1)

    def fusion(self, cue: str) -> nn.Module:
        """None of the paper's cues."""
        raise KeyError(cue)

    def start_neutral(self, cue: str) -> None:
        """None of the paper's cues."""
        raise KeyError(cue)
