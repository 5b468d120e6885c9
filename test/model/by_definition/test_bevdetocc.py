"""The BEVDetOcc family against its description: no history, a queue (bevdetocc_sf.md), the four cues."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from definition import Definition
from torch import Tensor

from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import bevdetocc
from gdfusion_ros.model.networks.memories import FUSIONS, NOTHING, queue
from gdfusion_ros.model.spec import NetworkSpec

MEMORIES: dict[str, Any] = {'none': NOTHING, 'queue of 3': queue(3), 'queue of 16': queue(16), 'four cues': FUSIONS}


class Bevdetocc(Definition):
    """bevdetocc_sf.md §1, §2, §4; ``memory`` is one of MEMORIES."""

    def __init__(self, network: OccupancyNetwork, memory: str) -> None:
        super().__init__(network)
        self.memory = memory

    def forward(self, frame: Frame) -> Tensor:
        cells, feature = self.image_features(frame.images)
        context, _, _, trunk = self.depth_trunks(cells, self.cost_volume(feature, frame), frame.calibration)
        volume = self.lift(self.geometry(trunk, frame), context, frame.calibration)
        volume = self.residual_3d(volume[None], 'pre_process.layers.0.0')[0]
        return self.decoded(self.remembered(volume, frame)[None])

    def geometry(self, trunk: Tensor, frame: Frame) -> Tensor:
        if self.memory != 'four cues':
            return self.conv(trunk, 'depth_net.depth_conv.4').softmax(1)
        p = self.conv(trunk, 'depth_net.depth_head').softmax(1)
        return self.fused_geometry(self.conv(trunk, 'depth_net.depth_head2'), p, frame)

    def remembered(self, volume: Tensor, frame: Frame) -> Tensor:
        if self.memory == 'none':
            return volume
        if self.memory == 'four cues':
            return self.recurrent(volume, frame)
        return self.queue(volume, frame, int(self.memory.rpartition(' ')[2]))

    def decoded(self, x: Tensor) -> Tensor:
        levels: dict[int, Tensor] = {}
        for stage, name, first in self.blocks('img_bev_encoder_backbone.layers'):
            levels[stage] = x = self.residual_3d(x, name, 2 if stage and first else 1)
        for stage in (1, 2):
            levels[stage] = F.interpolate(levels[stage], scale_factor=2**stage, mode='trilinear', align_corners=True)
        name = 'img_bev_encoder_neck.conv'
        x = self.norm(self.conv(torch.cat([levels[0], levels[1], levels[2]], 1), f'{name}.conv'), f'{name}.bn').relu()
        x = self.conv(x, 'occupancy_head.final_conv.conv', 1, 1).relu()[0].permute(1, 2, 3, 0)
        hidden = torch.log1p(torch.exp(self.linear(x, 'occupancy_head.predicter.0')))
        return self.linear(hidden, 'occupancy_head.predicter.2')[..., 1:]


@pytest.fixture
def make(build_sized: Callable[..., OccupancyNetwork], tiny_spec: NetworkSpec) -> Callable[[str], OccupancyNetwork]:
    def made(memory: str) -> OccupancyNetwork:
        spec = tiny_spec if memory == 'four cues' else dataclasses.replace(tiny_spec, cues=())
        return build_sized(bevdetocc, spec, memory=MEMORIES[memory])

    return made


@pytest.mark.parametrize('memory', MEMORIES)
@torch.inference_mode()
def test_frames_of_the_whole_network(
    make: Callable[[str], OccupancyNetwork], journey: Callable[..., None], memory: str
) -> None:
    network = make(memory)
    journey(network, Bevdetocc(network, memory))
