"""Bag in, bag out: what the live node would publish, computed without ROS from the same messages (see grid_stream.py).

Two replays write the same messages, byte for byte. Outputs have the header stamp of their grid. Their record time is
that of the message that completed the set, which is when a node without any latency would have published.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gdfusion_ros import __version__
from gdfusion_ros.bags.grid_stream import SILENT, ReplayListener, grid_stream
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.files import refuse_existing
from gdfusion_ros.messages.bev import require_classes
from gdfusion_ros.messages.encode import label_info
from gdfusion_ros.messages.inputs import TF_STATIC_TOPIC, TF_TOPIC, TF_TYPE
from gdfusion_ros.messages.outputs import (
    LABEL_INFO_TOPIC,
    LABEL_INFO_TYPE,
    MARKERS,
    NODE_NAME,
    OCCUPANCY,
    POINTS,
    bev_output,
)
from gdfusion_ros.names import printable
from gdfusion_ros.perception.counters import Counts
from gdfusion_ros.perception.estimator import PoseProtocol
from gdfusion_ros.perception.labels import LABEL_SETS, LabelSet
from gdfusion_ros.perception.runners import Network
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import BevSettings, PipelineSettings, TopicSettings

USUAL_BEV = BevSettings()


class BagForm(NamedTuple):
    """How a bag is stored, see ``bag_writer``."""

    storage: str = 'mcap'
    bag_format: str = 'jazzy'


NEWEST = BagForm()


@dataclass(frozen=True)
class ReplayResult:
    """What a replay has done.

    Attributes:
        counts: of the pipeline.
        seconds: that it took.
    """

    counts: Counts
    seconds: float


def replay(
    path: Path,
    out: Path,
    network: Network,
    pipeline: PipelineSettings,
    topics: TopicSettings,
    *,
    protocol: PoseProtocol = 'live',
    listener: ReplayListener = SILENT,
    form: BagForm = NEWEST,
    bev: BevSettings = USUAL_BEV,
) -> ReplayResult:
    """Run ``network`` over the bag ``path`` and write its grids to the bag ``out``, with the transforms they lie by.

    Args:
        path: The bag with images, CameraInfo and TF.
        out: The new bag.
        network: See ``grid_stream``, as for the other arguments.
        pipeline: As the node takes them.
        topics: Where the images are.
        protocol: 'live' or 'released'.
        listener: Told of progress and of what was refused.
        form: Of the new bag.
        bev: What columns of the grids cost.

    Raises:
        GdfusionError: a bag that cannot be read or written, lacks topics, or gives no grid at all; a class that the
            network's label set does not have.
    """
    begin = time.monotonic()
    refuse_existing(out)
    label_set = LABEL_SETS[network.spec.label_set]
    require_classes(bev, label_set)
    with (
        bag_reader(path) as bag,
        grid_stream(bag, network, pipeline, topics, protocol=protocol, listener=listener) as stream,
    ):
        about = {
            **bag.custom_data,
            'gdfusion.bag': printable(path.name, 200),
            'gdfusion.model': network.title,
            'gdfusion.protocol': protocol,
            'gdfusion.version': __version__,
        }
        with bag_writer(out, storage=form.storage, bag_format=form.bag_format, custom_data=about) as writer:
            outputs, transforms = _Outputs(writer, bev), _Transforms(bag, writer, topics)
            outputs.announce(bag.start, label_set)
            for grid, stamp in stream:
                transforms.copy(stamp)
                outputs.write(grid, stamp)
            transforms.copy(None)
    return ReplayResult(stream.counts, time.monotonic() - begin)


class _Outputs:
    """Writes grids in every form."""

    def __init__(self, writer: BagWriter, bev: BevSettings) -> None:
        """Add the topics to the bag."""
        self._writer = writer
        self._make = RosbagsFactory()
        self._outputs = (OCCUPANCY, POINTS, MARKERS, bev_output(bev))
        writer.add_topic(f'/{NODE_NAME}/{LABEL_INFO_TOPIC}', LABEL_INFO_TYPE, LATCHED)
        for output in self._outputs:
            writer.add_topic(f'/{NODE_NAME}/{output.topic}', output.type_name, LATCHED)

    def announce(self, stamp: int, label_set: LabelSet) -> None:
        """Say what the labels mean, recorded at ``stamp`` [ns]."""
        self._writer.write(f'/{NODE_NAME}/{LABEL_INFO_TOPIC}', stamp, label_info(label_set, self._make))

    def write(self, grid: SemanticGrid, stamp: int) -> None:
        """Write a grid with record time ``stamp`` [ns]."""
        for output in self._outputs:
            output.remember(grid)
            self._writer.write(f'/{NODE_NAME}/{output.topic}', stamp, output.build(grid, self._make))


class _Transforms:
    """Copies the transforms of a bag, in time with the grids."""

    def __init__(self, bag: BagReader, writer: BagWriter, topics: TopicSettings) -> None:
        """Add their topics to the new bag, under the names that everybody listens to."""
        self._writer = writer
        names = {topics.tf_topic: TF_TOPIC, topics.tf_static_topic: TF_STATIC_TOPIC}
        self._names = {topic: name for topic, name in names.items() if topic in bag.topics}
        for topic, name in self._names.items():
            writer.add_topic(name, TF_TYPE, *bag.topics[topic].qos)
        self._messages = bag.raw_messages(list(self._names))
        self._next = next(self._messages, None)

    def copy(self, until: int | None) -> None:
        """All that were recorded until then [ns], or None: the rest."""
        while self._next is not None and (until is None or self._next.stamp <= until):
            self._writer.write_serialized(self._names[self._next.topic], self._next.stamp, self._next.data)
            self._next = next(self._messages, None)
