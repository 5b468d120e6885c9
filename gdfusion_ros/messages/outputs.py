"""What the product gives out for every grid, the same live and from a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gdfusion_ros.messages import cubes, encode, voxels
from gdfusion_ros.messages.bev import BevSettings, bev
from gdfusion_ros.messages.factory import Message, MessageFactory
from gdfusion_ros.perception.types import SemanticGrid

NODE_NAME = 'occ'
"""Name of the node, live or replayed, below which its outputs are."""

GROUND_TRUTH_TOPIC, GROUND_TRUTH_MARKERS = '/ground_truth/occupancy', '/ground_truth/markers'
"""Where a bag has the labels of its dataset, as grids (see datasets/occ3d.py) and to look at."""

LABEL_INFO_TOPIC, LABEL_INFO_TYPE = 'label_info', 'std_msgs/msg/String'


@dataclass(frozen=True)
class Output:
    """One message a grid: topic below the node's name, message type, and the function that builds it.

    What is built is a message, or its serialized form where objects would be slow. An ``optional`` one is left out
    where its message type is not installed.
    """

    topic: str
    type_name: str
    build: Callable[[SemanticGrid, MessageFactory], Message | bytes]
    optional: bool = False


OCCUPANCY = Output('occupancy', 'gdfusion_ros/msg/SemanticOccupancyGrid', encode.occupancy)
POINTS = Output('points', 'sensor_msgs/msg/PointCloud2', encode.points)
MARKERS = Output('markers', 'visualization_msgs/msg/MarkerArray', lambda grid, _: cubes.markers(grid))


VOXELS = Output('voxels', voxels.VOXELS_TYPE, voxels.voxels, optional=True)


def outputs(settings: BevSettings) -> tuple[Output, ...]:
    """Every output of a grid."""
    def build_bev(grid: SemanticGrid, make: MessageFactory) -> Message:
        return bev(grid, settings, make)

    return OCCUPANCY, POINTS, MARKERS, VOXELS, Output('bev', 'nav_msgs/msg/OccupancyGrid', build_bev)
