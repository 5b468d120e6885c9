"""What the product gives out for every grid, the same live and from a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gdfusion_ros.messages import cubes, encode, voxels
from gdfusion_ros.messages.bev import Bev, members
from gdfusion_ros.messages.bev_updates import UPDATE_TYPE, BevUpdates
from gdfusion_ros.messages.factory import Message, MessageFactory
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import BevSettings

NODE_NAME = 'occ'
"""Name of the node, live or replayed, below which its outputs are."""

GROUND_TRUTH_TOPIC, GROUND_TRUTH_MARKERS = '/ground_truth/occupancy', '/ground_truth/markers'
"""Where a bag has the labels of its dataset, as grids (see datasets/occ3d.py) and to look at."""

LABEL_INFO_TOPIC, LABEL_INFO_TYPE = 'label_info', 'std_msgs/msg/String'

_BEV, _MAP_TYPE = 'bev', 'nav_msgs/msg/OccupancyGrid'


@dataclass(frozen=True)
class Output:
    """One message a grid: topic below the node's name, message type, and the function that builds it.

    What is built is a message, its serialized form where objects would be slow, or None where there is nothing to say.
    ``remember`` is told every grid, whether or not anybody wants its message. An ``optional`` one is left out where its
    message type is not installed.
    """

    topic: str
    type_name: str
    build: Callable[[SemanticGrid, MessageFactory], Message | bytes | None]
    remember: Callable[[SemanticGrid], object] = lambda _: None
    optional: bool = False


def _observed(grid: SemanticGrid, make: MessageFactory) -> Message | bytes:
    from gdfusion_ros.perception.visibility import only_observed  # a compiler, which a converter of bags need not load

    return encode.occupancy(only_observed(grid), make)


OCCUPANCY = Output('occupancy', 'gdfusion_ros/msg/SemanticOccupancyGrid', encode.occupancy)
OBSERVED = Output('observed', 'gdfusion_ros/msg/SemanticOccupancyGrid', _observed)
"""The same, with what no camera saw labelled unknown, whatever the setting ``unobserved``."""
POINTS = Output('points', 'sensor_msgs/msg/PointCloud2', encode.points)
MARKERS = Output('markers', 'visualization_msgs/msg/MarkerArray', lambda grid, _: cubes.markers(grid))
VOXELS = Output('voxels', voxels.VOXELS_TYPE, voxels.voxels, optional=True)


def outputs(settings: BevSettings, *, bev_updates: bool = False) -> tuple[Output, ...]:
    """Every output of a grid, for one sequence of grids; with ``bev_updates`` the bird's-eye view comes in parts."""
    bev = _bev_in_parts(settings) if bev_updates else (bev_output(settings),)
    return OCCUPANCY, OBSERVED, POINTS, MARKERS, VOXELS, *bev, obstacles_output(settings)


def bev_output(settings: BevSettings) -> Output:
    """The columns of a grid and their costs."""
    bev = Bev(settings)
    return Output(_BEV, _MAP_TYPE, bev.message, bev.remember)


def _bev_in_parts(settings: BevSettings) -> tuple[Output, Output]:
    """The same, whole where the map lies elsewhere than before, and what changed of it between."""
    bev = Bev(settings)
    updates = BevUpdates(bev)
    return (
        Output(_BEV, _MAP_TYPE, updates.message, bev.remember),
        Output(f'{_BEV}_updates', UPDATE_TYPE, updates.update),
    )


def obstacles_output(settings: BevSettings) -> Output:
    """The voxels of some classes."""

    def build(grid: SemanticGrid, make: MessageFactory) -> Message:
        return encode.points(grid, make, members(grid.label_set, settings.obstacle_classes))

    return Output('obstacles', 'sensor_msgs/msg/PointCloud2', build)
