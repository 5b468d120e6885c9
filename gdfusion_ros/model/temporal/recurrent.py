"""Memory slot of GDFusion: motion, voxel and scene fusion in Algorithm 1's order (bevdetocc_gf.md §5, §6, §7, §9)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from gdfusion_ros.model.geometry.alignment import history_alignment, index_transform, plane_transform
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.temporal.motion import MotionFusion, MotionState
from gdfusion_ros.model.temporal.scene import SceneFusion, SceneState
from gdfusion_ros.model.temporal.voxel import VoxelFusion, VoxelState


@dataclass(frozen=True, eq=False)
class RecurrentState:
    """H_m, H_v and H_s; a cue that is switched off has None."""

    motion: MotionState | None
    voxel: VoxelState | None
    scene: SceneState | None


class RecurrentMemory(nn.Module):
    """Three of the four fusions (the fourth, geometry, comes before the volume). All have weights, whatever the cues.

    The cues are a choice: any of motion, voxel and scene, motion only with voxel.
    """

    def __init__(
        self, grid: VoxelGrid, channels: int, cues: tuple[str, ...], conv: type[nn.Conv2d | nn.Conv3d] = nn.Conv3d
    ) -> None:
        """``grid`` and ``channels`` of the volume, or with Conv2d of the map."""
        super().__init__()
        flat = conv is nn.Conv2d
        self.motion = MotionFusion(channels, 2 if flat else 3)
        self.voxel = VoxelFusion(channels, conv)
        self.scene = SceneFusion(channels)
        self._grid, self._cues = grid, cues
        self._transform = plane_transform if flat else index_transform

    def geometry(self, calibration: Calibration, previous: Previous | None) -> Tensor:
        """(4, 4) voxel index now -> index in the previous grid, on the network's device; the identity at a start."""
        found = history_alignment(self._transform, self._grid, calibration, previous)
        return found.to(self.scene.weight.device, non_blocking=True)

    def forward(
        self, volume: Tensor, alignment: Tensor, state: RecurrentState | None, run: Pass
    ) -> tuple[Tensor, RecurrentState]:
        """The volume (1, C, Y, X, Z) or map (1, C, Y, X) with what is remembered, and what is to be remembered."""
        motion: MotionState | None = None
        voxel: VoxelState | None = None
        scene: SceneState | None = None
        if 'motion' in self._cues:
            with run.probe.stage('motion'):
                _, motion = self.motion(volume, alignment, None if state is None else state.motion, run.first)
            run.probe.record('motion_fused', motion.offsets)
        if 'voxel' in self._cues:
            with run.probe.stage('voxel'):
                volume, voxel = self.voxel(
                    volume,
                    None if motion is None else motion.offsets,
                    alignment,
                    None if state is None else state.voxel,
                    run.first,
                )
                if state is not None and state.voxel is not None:
                    run.read(state.voxel.volume)
            run.probe.record('voxel_out', volume)
            run.probe.record('voxel_state', voxel.volume)
        if 'scene' in self._cues:
            with run.probe.stage('scene'):
                volume, scene = self.scene(volume, None if state is None else state.scene)
            run.probe.record('scene_out', volume)
            run.probe.record('scene_dW', scene.weight)
            run.probe.record('scene_db', scene.bias)
        return volume, RecurrentState(motion, voxel, scene)

    def emptied(self, state: RecurrentState | None) -> None:
        """Nothing is left: the next frame starts anew."""

    def fusion(self, cue: str) -> MotionFusion | VoxelFusion | SceneFusion:
        """The fusion of motion, voxel or scene."""
        fusions: dict[str, MotionFusion | VoxelFusion | SceneFusion] = {
            'motion': self.motion,
            'voxel': self.voxel,
            'scene': self.scene,
        }
        return fusions[cue]

    def start_neutral(self, cue: str) -> None:
        """Let the fusion of that cue change little of what goes through it."""
        self.fusion(cue).start_neutral()
