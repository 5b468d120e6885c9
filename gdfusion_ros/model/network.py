"""A network: five slots in the order of Algorithm 1 of the paper (bevdetocc_gf.md §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.interface import Calibration, CellDepth, Prediction, Previous
from gdfusion_ros.model.probe import BLIND, Pass, Probe
from gdfusion_ros.model.runtime.upload import upload
from gdfusion_ros.model.slots import DecoderSlot, DepthSlot, ImageSlot, MemorySlot, ViewSlot
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.keys import Mount


@dataclass(frozen=True, eq=False)
class FrameGeometry:
    """What the slots need of calibration and poses, each its own; the calibration goes into the state."""

    calibration: Calibration
    depth: Any
    view: Any
    memory: Any


@dataclass(frozen=True, eq=False)
class Encoded:
    """A frame before its voxels are classified: what the classifier sees, what the cells see, and the memory."""

    volume: Any
    cells: CellDepth
    state: SequenceState


class OccupancyNetwork(nn.Module):
    """``network(images, geometry, state) -> (prediction, state)``: one camera set in, its grid and the memory out.

    A pure function of its arguments and weights, tensors in and tensors out. All that follows from calibration and
    poses is computed before, by ``geometry``, which depends on no weight; whoever runs many frames keeps a
    CalibrationCache for what does not change between them.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        images: ImageSlot,
        depth: DepthSlot,
        view: ViewSlot,
        memory: MemorySlot,
        decoder: DecoderSlot,
        mounts: Sequence[Mount],
        ties: Mapping[str, str] | None = None,
    ) -> None:
        """Put together by hand, in ``networks``; every slot is a module.

        ``mounts`` are the published names of weights. A tensor that stands in two places has two of them: ``ties``
        maps the one whose value in a file does not count to the one that wins.
        """
        super().__init__()
        self.spec, self.mounts, self.ties = spec, mounts, dict(ties or {})
        self.title = spec.name
        self.autocast = False
        self.images, self.depth, self.view, self.memory, self.decoder = images, depth, view, memory, decoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def geometry(
        self, calibration: Calibration, previous: Previous | None = None, cache: CalibrationCache | None = None
    ) -> FrameGeometry:
        """What follows from calibration and poses, computed on the CPU, on the network's device.

        Args:
            calibration: of the frame.
            previous: the last frame of the sequence; None at its start.
            cache: the caller's; what has not changed is taken from there.
        """
        cache = cache or CalibrationCache()
        return FrameGeometry(
            calibration,
            self.depth.geometry(calibration, Reprojection.between(calibration, previous), cache),
            self.view.geometry(calibration, cache),
            self.memory.geometry(calibration, previous),
        )

    def forward(
        self,
        images: Tensor,
        geometry: FrameGeometry,
        state: SequenceState | None = None,
        lidar_depth: Tensor | None = None,
        probe: Probe = BLIND,
        *,
        spends: bool = False,
    ) -> tuple[Prediction, SequenceState]:
        """See one camera set.

        Args:
            images: (N, 3, H, W) float32, normalised, channels B, G, R; on any device.
            geometry: of the frame.
            state: what the last frame of the sequence gave; None at its start.
            lidar_depth: (N, H, W) as in Frame; networks without that input do not look at it.
            probe: looks on.
            spends: whether ``state`` is given away: what in it is large is freed when it has been read, while the new
                one grows. It is worth nothing afterwards.
        """
        encoded = self.encode(images, geometry, state, lidar_depth, probe, spends=spends)
        return self.decoder(encoded.volume, self._run(probe)), encoded.state

    def encode(
        self,
        images: Tensor,
        geometry: FrameGeometry,
        state: SequenceState | None = None,
        lidar_depth: Tensor | None = None,
        probe: Probe = BLIND,
        *,
        spends: bool = False,
    ) -> Encoded:
        """The part of ``forward`` before the voxels are classified."""
        run = self._run(probe, spends)
        cells, remembered = self._cell_depth(images, geometry, state, lidar_depth, run)
        return self._encoded(cells, remembered, geometry, state, run)

    def predict_depth(
        self,
        images: Tensor,
        geometry: FrameGeometry,
        state: SequenceState | None = None,
        lidar_depth: Tensor | None = None,
    ) -> tuple[CellDepth, SequenceState]:
        """The part of ``forward`` before anything is lifted; nothing of a volume is remembered."""
        cells, remembered = self._cell_depth(images, geometry, state, lidar_depth, self._run(BLIND))
        return cells, SequenceState(geometry.calibration, remembered, None)

    def classify_labelled(self, encoded: Any, labels: Tensor, ignore: int) -> tuple[Tensor, Tensor]:
        """Scores (n, K) and labels (n,) of the voxels in cells in which something is labelled; see the decoder."""
        return self.decoder.classify_labelled(encoded, labels, ignore, self._run(BLIND))

    def without_history(self, state: SequenceState) -> SequenceState:
        """The state of a sequence that goes on, with what is remembered of the volume forgotten, for training."""
        return replace(state, memory=self.memory.emptied(state.memory))

    def camera_statistics(self) -> nn.BatchNorm1d:
        """The normalisation of the camera vectors, whose statistics are of rigs, not of images."""
        return self.depth.camera_statistics()

    def fusion(self, cue: str) -> nn.Module:
        """What fuses that cue with the past.

        Raises:
            KeyError: nothing does.
        """
        fusion = self.depth.fusion if cue == 'geometry' else self.memory.fusion(cue)
        if fusion is None:
            raise KeyError(cue)
        return fusion

    def start_neutral(self, cue: str) -> None:
        """Let the fusion of that cue change little of what goes through it."""
        (self.depth if cue == 'geometry' else self.memory).start_neutral(cue)

    def _cell_depth(
        self,
        images: Tensor,
        geometry: FrameGeometry,
        state: SequenceState | None,
        lidar_depth: Tensor | None,
        run: Pass,
    ) -> tuple[CellDepth, Any]:
        seen = self.images(images, run)
        if lidar_depth is not None:
            seen = seen._replace(lidar_depth=upload(lidar_depth, self.device))
        return self.depth(seen, geometry.depth, None if state is None else state.depth, run)

    def _encoded(
        self, cells: CellDepth, remembered: Any, geometry: FrameGeometry, state: SequenceState | None, run: Pass
    ) -> Encoded:
        volume = self.view(cells, geometry.view, run)
        run.probe.record('volume', volume)
        volume, memory = self.memory(volume, geometry.memory, None if state is None else state.memory, run)
        return Encoded(self.decoder.encode(volume, run), cells, SequenceState(geometry.calibration, remembered, memory))

    def _run(self, probe: Probe, spends: bool = False) -> Pass:
        return Pass(probe, self.device, self.autocast, spends)
