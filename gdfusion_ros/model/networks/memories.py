"""How the families remember: by the four fusions, in a queue, or not at all; each with its published keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from gdfusion_ros.model.depth.net import DEPTH_NET, ONE_HEAD, TWO_HEADS
from gdfusion_ros.model.slots import MemorySlot
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.temporal.none import NoMemory
from gdfusion_ros.model.temporal.queue import QueueMemory
from gdfusion_ros.model.temporal.recurrent import RecurrentMemory
from gdfusion_ros.model.temporal.scene import SCENE
from gdfusion_ros.model.weights.keys import Mount, Table

Conv = type[nn.Conv2d | nn.Conv3d]


@dataclass(frozen=True)
class Memory:
    """A choice that a build function of a family is given.

    Attributes:
        slot: makes the memory slot of a spec's volumes, or with Conv2d of its maps.
        fused_depth: whether geometry is fused, too: the depth network then has a head for that.
        mounts: of the fusions or the queue.
    """

    slot: Callable[[NetworkSpec, Conv], MemorySlot]
    fused_depth: bool
    mounts: tuple[Mount, ...]

    def depth_mount(self, *tables: Table) -> Mount:
        """Of the depth network; ``tables`` of what else it has."""
        heads = TWO_HEADS if self.fused_depth else ONE_HEAD
        joined = {ours: theirs for table in (DEPTH_NET, heads, *tables) for ours, theirs in table.items()}
        return Mount('depth.net', 'depth_net', joined)


FUSIONS = Memory(
    lambda spec, conv: RecurrentMemory(spec.grid, spec.context_channels, spec.cues, conv),
    True,
    (
        Mount('depth.fusion.history_gate', 'depth_net.depth_his_fusion_post_layer.gate_net'),
        Mount('depth.fusion.blend_gate', 'depth_net.gate_net'),
        Mount('memory.motion.offset', 'his_stream_offset_net.history_stream_offset_net'),
        Mount('memory.voxel.time_embedding', 'time_emb_net'),
        Mount('memory.voxel.align', 'history_keyframe_time_conv'),
        Mount('memory.voxel.merge', 'history_keyframe_cat_conv'),
        Mount('memory.scene', 'scene_his_func_after_vox_his', SCENE),
    ),
)

NOTHING = Memory(lambda *_: NoMemory(), False, ())


def queue(length: int = 16) -> Memory:
    """Of the last ``length`` volumes or maps."""
    return Memory(
        lambda spec, conv: QueueMemory(spec.grid, spec.context_channels, length, conv=conv),
        False,
        (Mount('memory.align', 'history_keyframe_time_conv'), Mount('memory.merge', 'history_keyframe_cat_conv')),
    )
