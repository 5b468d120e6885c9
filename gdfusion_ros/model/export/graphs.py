"""What is written down as graphs: a network's geometry, and the network; tensors in, tensors out, by name.

Both compute in graph form. Names of tensors are their places in the dataclasses of the slots, e.g.
``state.memory.voxel.volume``: what goes in as ``state.…`` comes out as ``next_state.…``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from gdfusion_ros.model.export.contract import REMEMBERED
from gdfusion_ros.model.geometry.cache import NoCache
from gdfusion_ros.model.geometry.reprojection import Reprojection
from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.network import FrameGeometry, OccupancyNetwork
from gdfusion_ros.model.parts import leaves, renewed
from gdfusion_ros.model.probe import BLIND, Pass
from gdfusion_ros.model.state import SequenceState

FIRST = 'first'
"""Whether the frame is the first one of a sequence; nothing counts then of what is said of the last one."""

_CALIBRATION = 'calibration.'
"""Place of what is in geometry and state, but in no graph."""


def frame_tensors(calibration: Calibration, previous: Previous | None) -> dict[str, Tensor]:
    """The inputs of ``GeometryGraph``; at a start, everything about the last frame is as if it were the same."""
    eye = torch.eye(4)
    then = calibration if previous is None else previous.calibration
    return {
        FIRST: torch.tensor(previous is None),
        **{
            name: getattr(calibration, name)
            for name in ('intrinsics', 'post_rotation', 'post_translation', 'volume_from_camera', 'visible')
        },
        **{f'previous_{name}': getattr(then, name) for name in REMEMBERED},
        'previous_camera_from_camera': eye.expand_as(calibration.volume_from_camera).contiguous()
        if previous is None
        else previous.camera_from_camera,
        'previous_ego_from_ego': eye if previous is None else previous.ego_from_ego,
    }


def geometry_tensors(geometry: FrameGeometry) -> dict[str, Tensor]:
    """The outputs of ``GeometryGraph``: all that the slots need."""
    return {
        f'geometry.{name}': value
        for name, value in leaves(geometry)
        if isinstance(value, Tensor) and not name.startswith(_CALIBRATION)
    }


class GeometryGraph(nn.Module):
    """All that follows from calibration and poses: ``frame_tensors`` -> ``geometry_tensors``, of those ``wanted``."""

    def __init__(self, network: OccupancyNetwork, wanted: Iterable[str]) -> None:
        """``network`` on the CPU; its geometry depends on no weight."""
        super().__init__()
        self._network, self._wanted = network, tuple(wanted)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """See above."""
        first, network = tensors[FIRST], self._network
        now = Calibration(
            tensors['intrinsics'],
            tensors['post_rotation'],
            tensors['post_translation'],
            tensors['volume_from_camera'],
            torch.eye(3),
            tensors['visible'],
        )
        then = replace(now, **{name: tensors[f'previous_{name}'] for name in REMEMBERED})
        then = replace(then, visible=then.visible & ~first)
        previous = Previous(then, tensors['previous_camera_from_camera'], tensors['previous_ego_from_ego'])
        cache = NoCache()
        memory = network.memory.geometry(now, previous)
        if memory is not None:
            memory = torch.where(first, network.memory.geometry(now, None), memory)
        geometry = FrameGeometry(
            now,
            network.depth.geometry(now, Reprojection.between(now, previous), cache),
            network.view.geometry(now, cache),
            memory,
        )
        found = geometry_tensors(geometry)
        return {name: found[name] for name in self._wanted}


def state_tensors(state: SequenceState) -> dict[str, Tensor]:
    """What is remembered, counts of frames as int64 scalars, too; ``next_state.`` stands for ``state.`` behind it."""
    return {
        f'state.{name}': torch.as_tensor(value) for name, value in leaves(state) if not name.startswith(_CALIBRATION)
    }


class NetworkGraph(nn.Module):
    """A network in one pass: images, LiDAR depth where it looks at that, geometry and state -> prediction and state."""

    def __init__(
        self, network: OccupancyNetwork, geometry: FrameGeometry, state: SequenceState, *, scores: bool
    ) -> None:
        """``geometry`` and ``state`` of any frame, in graph form: what the tensors of others are put into.

        ``scores``: whether they are given out, too.
        """
        super().__init__()
        self.network, self._geometry, self._state, self._scores = network, geometry, state, scores

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by name: ``images``, ``lidar_depth``, ``first``, those of the geometry and of the state."""
        network, first = self.network, tensors[FIRST]

        def remembered(name: str, value: Tensor | int) -> Tensor:
            tensor = torch.as_tensor(tensors.get(f'state.{name}', value))
            return tensor if isinstance(value, Tensor) else torch.where(first, 0, tensor)

        geometry = renewed(self._geometry, lambda name, value: tensors.get(f'geometry.{name}', value))
        state = renewed(self._state, remembered)
        run = Pass(BLIND, network.device, autocast=False, first=first)
        seen = network.images(tensors['images'], run)
        if 'lidar_depth' in tensors:
            seen = seen._replace(lidar_depth=tensors['lidar_depth'])
        cells, depth = network.depth(seen, geometry.depth, state.depth, run)
        volume, memory = network.memory(network.view(cells, geometry.view, run), geometry.memory, state.memory, run)
        prediction = network.decoder(network.decoder.encode(volume, run), run)
        following = state_tensors(SequenceState(geometry.calibration, depth, memory))
        given = {'labels': prediction.labels.contiguous()}
        if self._scores:
            given['scores'] = prediction.logits.transpose(0, 1).contiguous()
        return given | {f'next_{name}': tensor for name, tensor in following.items()}
