"""What the product gives out for every grid, the same live and from a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gdfusion_ros.messages import cubes, encode, voxels
from gdfusion_ros.messages.bev import Bev, members
from gdfusion_ros.messages.factory import Message, MessageFactory
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import BevSettings

NODE_NAME = 'occ'
"""Name of the node, live or replayed, below which its outputs are."""

GROUND_TRUTH_TOPIC, GROUND_TRUTH_MARKERS = '/ground_truth/occupancy', '/ground_truth/markers'
"""Where a bag has the labels of its dataset, as grids (see datasets/occ3d.py) and to look at."""

LABEL_INFO_TOPIC, LABEL_INFO_TYPE = 'label_info', 'std_msgs/msg/String'


@dataclass(frozen=True)
class Output:
    """One message a grid: topic below the node's name, message type, and the function that builds it.

    What is built is a message, or its serialized form where objects would be slow. ``remember`` is told every grid,
    whether or not anybody wants its message. An ``optional`` one is left out where its message type is not installed.
    """

    topic: str
    type_name: str
    build: Callable[[SemanticGrid, MessageFactory], Message | bytes]
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


def outputs(settings: BevSettings) -> tuple[Output, ...]:
    """Every output of a grid, for one sequence of grids."""
    return OCCUPANCY, OBSERVED, POINTS, MARKERS, VOXELS, bev_output(settings), obstacles_output(settings)


def bev_output(settings: BevSettings) -> Output:
    """The columns of a grid and their costs."""
    bev = Bev(settings)
    return Output('bev', 'nav_msgs/msg/OccupancyGrid', bev.message, bev.remember)


def obstacles_output(settings: BevSettings) -> Output:
    """The voxels of some classes."""

    def build(grid: SemanticGrid, make: MessageFactory) -> Message:
        return encode.points(grid, make, members(grid.label_set, settings.obstacle_classes))

    return Output('obstacles', 'sensor_msgs/msg/PointCloud2', build)
