"""Dense semantic 3-D occupancy from surround cameras: GDFusion (CVPR 2025) for ROS 2.

The names below are for those who use the package from Python; examples/ shows how. They are imported when they are
first asked for, so that ``import gdfusion_ros`` brings neither torch nor ROS.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdfusion_ros.bags.grid_stream import grid_stream as grid_stream
    from gdfusion_ros.bags.reader import bag_reader as bag_reader
    from gdfusion_ros.errors import GdfusionError as GdfusionError
    from gdfusion_ros.model.interface import Calibration as Calibration
    from gdfusion_ros.model.interface import Frame as Frame
    from gdfusion_ros.model.network import OccupancyNetwork as OccupancyNetwork
    from gdfusion_ros.model.sequence import SequenceRunner as SequenceRunner
    from gdfusion_ros.model.spec import NetworkSpec as NetworkSpec
    from gdfusion_ros.model.zoo import load_network as load_network
    from gdfusion_ros.perception.estimator import OccupancyEstimator as OccupancyEstimator
    from gdfusion_ros.perception.types import SemanticGrid as SemanticGrid
    from gdfusion_ros.settings import ModelSettings as ModelSettings
    from gdfusion_ros.settings import PipelineSettings as PipelineSettings
    from gdfusion_ros.settings import TopicSettings as TopicSettings

__version__ = '0.1.0'

_HOMES = {
    'grid_stream': 'bags.grid_stream',
    'bag_reader': 'bags.reader',
    'GdfusionError': 'errors',
    'Calibration': 'model.interface',
    'Frame': 'model.interface',
    'OccupancyNetwork': 'model.network',
    'SequenceRunner': 'model.sequence',
    'NetworkSpec': 'model.spec',
    'load_network': 'model.zoo',
    'OccupancyEstimator': 'perception.estimator',
    'SemanticGrid': 'perception.types',
    'ModelSettings': 'settings',
    'PipelineSettings': 'settings',
    'TopicSettings': 'settings',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
