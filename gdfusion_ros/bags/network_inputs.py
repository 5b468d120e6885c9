"""What a network is given when it sees bags: for whoever looks at the network, not at its grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from gdfusion_ros.bags.grid_stream import SILENT, ReplayListener, grid_stream
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.quantization.calibration import Step, recorded
from gdfusion_ros.settings import PipelineSettings, TopicSettings


def network_inputs(
    bags: Sequence[Path],
    network: OccupancyNetwork,
    pipeline: PipelineSettings,
    topics: TopicSettings,
    frames: int,
    *,
    listener: ReplayListener = SILENT,
    on_frame: Callable[[], object] = lambda: None,
) -> list[Step]:
    """The first ``frames`` frames of every bag.

    Args:
        bags: With images, CameraInfo and TF.
        network, pipeline, topics, listener: See ``grid_stream``.
        frames: Of each bag; fewer where it has fewer.
        on_frame: Told after each.

    Raises:
        GdfusionError: a bag that cannot be read, lacks topics, or gives no grid at all.
    """
    with recorded(network) as steps:
        for path in bags:
            with bag_reader(path) as bag, grid_stream(bag, network, pipeline, topics, listener=listener) as stream:
                for _ in islice(stream, frames):
                    on_frame()
    return steps
