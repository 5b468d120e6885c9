"""Bag in, bag out: what the live node would publish, computed without ROS from the same messages.

The messages go through the same assembler and estimator as in the node, in the order of the bag, with the record times
as the clock. Nothing depends on how fast the computer is: two replays write the same messages, byte for byte.

Outputs have the header stamp of their grid. Their record time is that of the message that completed the set, which is
when a node without any latency would have published.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from gdfusion_ros import __version__
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.reader import BagReader, DecodedMessage, bag_reader
from gdfusion_ros.bags.released import lidar_stamps
from gdfusion_ros.bags.writer import BagWriter, bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing
from gdfusion_ros.messages.encode import label_info
from gdfusion_ros.messages.feed import TF_STATIC_TOPIC, Feed, input_topics
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE, MARKERS, NODE_NAME, OCCUPANCY, POINTS
from gdfusion_ros.model.occupancy import OccupancyNetwork
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counters, Counts
from gdfusion_ros.perception.estimator import OccupancyEstimator, PoseProtocol
from gdfusion_ros.perception.labels import LABEL_SETS, LabelSet
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.types import NANOSECONDS, PosedSet
from gdfusion_ros.settings import PipelineSettings, TopicSettings

OUTPUTS = (OCCUPANCY, POINTS, MARKERS)

_LOOK_AHEAD = 1  # sets whose images are decoded while the network sees the one before


@dataclass(frozen=True)
class Result:
    """What a replay has done.

    Attributes:
        counts: of the pipeline.
        refused: messages that were no valid input, by topic.
        seconds: that it took.
    """

    counts: Counts
    refused: Counter[str]
    seconds: float


@dataclass(frozen=True)
class Listener:
    """Who is told how the replay goes on: ``message`` after every message that was read, ``warning`` with one line."""

    message: Callable[[], object] = lambda: None
    warning: Callable[[str], object] = lambda _: None


def replay(path: Path, out: Path, network: OccupancyNetwork, pipeline: PipelineSettings, topics: TopicSettings, *,
           protocol: PoseProtocol = 'live', listener: Listener = Listener()) -> Result:
    """Run ``network`` over the bag ``path`` and write its grids to the bag ``out``.

    Args:
        path: The bag with images, CameraInfo and TF.
        out: The new bag.
        network: From ``gdfusion_ros.model.zoo.load_network``.
        pipeline: As the node takes them; every set is used (``lossless``).
        topics: Where the images are.
        protocol: 'released' takes the poses as the authors' evaluation does, which needs a bag made of nuScenes.
        listener: Told of progress and of what was refused.

    Raises:
        GdfusionError: a bag that cannot be read or written, lacks topics, or gives no grid at all.
    """
    begin = time.monotonic()
    refuse_existing(out)
    pipeline = replace(pipeline, lossless=True)
    with bag_reader(path) as bag, closing(Preprocessor(network.config.image_size)) as preprocessor:
        require_inputs(bag, pipeline, topics)
        counters = Counters(pipeline.cameras)
        assembler = FrameAssembler(pipeline, preprocessor, counters=counters,
                                   history_stamp=lidar_stamps(bag) if protocol == 'released' else None)
        estimator = OccupancyEstimator(network, pipeline, protocol=protocol, counters=counters)
        feed = Feed(assembler, pipeline, topics, _first_of_each(listener.warning))
        about = {**bag.custom_data, 'gdfusion.bag': path.name, 'gdfusion.model': network.title,
                 'gdfusion.protocol': protocol, 'gdfusion.version': __version__}
        with bag_writer(out, custom_data=about) as writer:
            grids = _Grids(writer, estimator, listener)
            grids.announce(bag.start, LABEL_SETS[network.config.label_set])
            messages = bag.messages(list(input_topics(pipeline, topics)))
            for posed, stamp in _ahead(_sets(messages, feed, assembler, listener)):
                grids.write(posed, stamp)
            _refuse_empty(path, counters.snapshot())
    return Result(counters.snapshot(), feed.refused, time.monotonic() - begin)


def require_inputs(bag: BagReader, pipeline: PipelineSettings, topics: TopicSettings) -> None:
    """Make sure that the bag has what a grid needs.

    /tf_static may be missing, and where ``missing_camera`` is mask, every camera but the reference camera.

    Raises:
        GdfusionError: names what is missing and lists what is there.
    """
    optional = {TF_STATIC_TOPIC}
    if pipeline.missing_camera == 'mask':
        for camera in set(pipeline.cameras) - {pipeline.reference_camera}:
            optional |= {topics.image(camera), topics.camera_info(camera)}
    bag.require({topic: type_name for topic, type_name in input_topics(pipeline, topics).items()
                 if topic not in optional})


def _first_of_each(warn: Callable[[str], object]) -> Callable[[str, str], None]:
    """``warn`` for the first line about each topic only; the rest is counted."""
    named: set[str] = set()

    def warning(topic: str, line: str) -> None:
        if topic not in named:
            named.add(topic)
            warn(line)

    return warning


def _sets(messages: Iterator[DecodedMessage], feed: Feed, assembler: FrameAssembler,
          listener: Listener) -> Iterator[tuple[PosedSet, int]]:
    """Every set that the messages make, with the record time [ns] of the one that completed it."""
    stamp = 0
    for topic, stamp, message in messages:
        feed(topic, message, stamp / NANOSECONDS)
        assembler.poll(stamp / NANOSECONDS)
        while (posed := assembler.take()) is not None:
            yield posed, stamp
        listener.message()
    assembler.flush()
    while (posed := assembler.take()) is not None:
        yield posed, stamp


def _ahead(sets: Iterator[tuple[PosedSet, int]]) -> Iterator[tuple[PosedSet, int]]:
    """The same, but a few sets late: the images of those ahead are being decoded meanwhile."""
    waiting: deque[tuple[PosedSet, int]] = deque()
    for item in sets:
        waiting.append(item)
        if len(waiting) > _LOOK_AHEAD:
            yield waiting.popleft()
    yield from waiting


def _refuse_empty(path: Path, counts: Counts) -> None:
    """A bag without grids is of no use.

    Raises:
        GdfusionError: says what became of the sets.
    """
    if not counts.grids:
        dropped = counts.sets_dropped + counts.frames_refused
        reasons = ', '.join(f'{reason} {count}' for reason, count in sorted(dropped.items()))
        raise GdfusionError(f'bag {path} gives no grid: {counts.sets} camera sets, dropped: {reasons or "none"}'
                            + (f'; {counts.last_drop}' if counts.last_drop else ''))


class _Grids:
    """Computes grids and writes them in every form."""

    def __init__(self, writer: BagWriter, estimator: OccupancyEstimator, listener: Listener) -> None:
        """Add the topics to the bag."""
        self._writer, self._estimator, self._listener = writer, estimator, listener
        self._make = RosbagsFactory()
        writer.add_topic(f'/{NODE_NAME}/{LABEL_INFO_TOPIC}', LABEL_INFO_TYPE, LATCHED)
        for output in OUTPUTS:
            writer.add_topic(f'/{NODE_NAME}/{output.topic}', output.type_name, LATCHED)

    def announce(self, stamp: int, label_set: LabelSet) -> None:
        """Say what the labels mean, recorded at ``stamp`` [ns]."""
        self._writer.write(f'/{NODE_NAME}/{LABEL_INFO_TOPIC}', stamp, label_info(label_set, self._make))

    def write(self, posed: PosedSet, stamp: int) -> None:
        """Write the grid of a set with record time ``stamp`` [ns]; a set that is refused is named."""
        try:
            grid = self._estimator.process(posed)
        except GdfusionError as error:
            self._listener.warning(f'refused: {error}')
            return
        for output in OUTPUTS:
            self._writer.write(f'/{NODE_NAME}/{output.topic}', stamp, output.build(grid, self._make))
