"""The grids that a network makes of a bag, one after the other, without ROS.

The messages go through the same assembler and estimator as in the node, in the order of the bag, with the record times
as the clock. Nothing depends on how fast the computer is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from gdfusion_ros.bags.reader import BagReader, DecodedMessage
from gdfusion_ros.bags.released import lidar_stamps
from gdfusion_ros.errors import GdfusionError, RepeatedError
from gdfusion_ros.messages.inputs import input_topics
from gdfusion_ros.messages.router import MessageRouter
from gdfusion_ros.names import printable
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counters, Counts
from gdfusion_ros.perception.estimator import OccupancyEstimator, PoseProtocol
from gdfusion_ros.perception.faults import Faults
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.runners import Network, Remembered
from gdfusion_ros.perception.types import NANOSECONDS, PosedSet, SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings

_LOOK_AHEAD = 1  # sets whose images are decoded while the network sees the one before


@dataclass(frozen=True)
class ReplayListener:
    """Who is told how it goes on: ``message`` after every message that was read, ``warning`` with one line."""

    message: Callable[[], object] = lambda: None
    warning: Callable[[str], object] = lambda _: None


SILENT = ReplayListener()
"""Nobody is told."""


@contextmanager
def grid_stream(
    bag: BagReader,
    network: Network,
    pipeline: PipelineSettings,
    topics: TopicSettings,
    *,
    protocol: PoseProtocol = 'live',
    listener: ReplayListener = SILENT,
) -> Iterator[GridStream]:
    """The grids that ``network`` makes of an open bag.

    Args:
        bag: With images, CameraInfo and TF.
        network: From ``gdfusion_ros.model.runtime.backends.load_backend``.
        pipeline: As the node takes them; every set is used (``lossless``).
        topics: Where the images and the transforms are.
        protocol: 'released' takes the poses as the authors' evaluation does, which needs a bag made of nuScenes.
        listener: Told of progress and of what was refused.

    Raises:
        GdfusionError: the bag lacks topics, or the network needs other cameras.
    """
    require_inputs(bag, pipeline, topics, lidar=network.spec.lidar_depth)
    with closing(Preprocessor(network.spec.image_size)) as preprocessor:
        yield GridStream(bag, network, replace(pipeline, lossless=True), topics, preprocessor, protocol, listener)


class GridStream:
    """Iterates once over the grids of a bag; made by ``grid_stream``."""

    def __init__(
        self,
        bag: BagReader,
        network: Network,
        pipeline: PipelineSettings,
        topics: TopicSettings,
        preprocessor: Preprocessor,
        protocol: PoseProtocol,
        listener: ReplayListener,
    ) -> None:
        """See ``grid_stream``."""
        self._bag, self._listener = bag, listener
        self._counters = Counters(pipeline.cameras, _first_of_each(listener.warning))
        self._assembler = FrameAssembler(
            pipeline,
            preprocessor,
            counters=self._counters,
            grid_frame=pipeline.grid_frame(network.spec.frame),
            takes_clouds=network.spec.lidar_depth,
            history_stamp=lidar_stamps(bag) if protocol == 'released' else None,
        )
        self._estimator = OccupancyEstimator(network, pipeline, protocol=protocol, counters=self._counters)
        self._router = MessageRouter(self._assembler, pipeline, topics)
        self._topics = list(input_topics(pipeline, topics, lidar=network.spec.lidar_depth))
        self._left_out = [f'not read: {remark}' for remark in bag.not_read] + [
            f'{item.count} messages on {item.topic} are left out ({printable(item.reason, 80)})'
            for item in bag.left_out
            if item.topic in self._topics
        ]
        for remark in filter(None, (network.spec.doubt_of_cameras(pipeline.cameras), *self._left_out)):
            listener.warning(remark)

    @property
    def counts(self) -> Counts:
        """Of the pipeline, so far."""
        return self._counters.snapshot()

    @property
    def memory(self) -> Remembered | None:
        """What the network remembers behind the last grid."""
        return self._estimator.memory

    def __iter__(self) -> Iterator[tuple[SemanticGrid, int]]:
        """Each grid, with the record time [ns] of the message that completed its set; refused sets are told.

        Raises:
            GdfusionError: the bag is damaged, gives no grid at all, or three sets in a row fail by unexpected errors.
        """
        faults = Faults(self._counters)
        for posed, stamp in _ahead(self._sets(self._bag.messages(self._topics))):
            try:
                with faults.cost_a_set(posed.camera_set.stamp):
                    grid = self._estimator.process(posed)
            except RepeatedError:
                raise
            except GdfusionError as error:
                self._listener.warning(f'refused: {error}')
                continue
            yield grid, stamp
        self._refuse_none()

    def _sets(self, messages: Iterator[DecodedMessage]) -> Iterator[tuple[PosedSet, int]]:
        """Every set that the messages make, with the record time [ns] of the one that completed it."""
        stamp = 0
        for topic, stamp, message in messages:
            self._router(topic, message, stamp / NANOSECONDS)
            self._assembler.poll(stamp / NANOSECONDS)
            while (posed := self._assembler.take()) is not None:
                yield posed, stamp
            self._listener.message()
        self._assembler.flush()
        while (posed := self._assembler.take()) is not None:
            yield posed, stamp

    def _refuse_none(self) -> None:
        """A bag without grids is of no use: say what became of the sets."""
        counts = self.counts
        if not counts.grids:
            reasons = ', '.join(f'{reason} {count}' for reason, count in sorted(counts.lost.items()))
            facts = [f'bag {self._bag.path} gives no grid: {counts.sets} camera sets, dropped: {reasons or "none"}']
            if counts.refused:
                topic = next(iter(counts.refused))
                facts.append(f'{counts.refused.total()} messages refused, such as {counts.last[topic]}')
            repeated = {camera: stream.dropped['duplicate'] for camera, stream in counts.cameras.items()}
            if number := max(repeated.values()):
                camera = max(repeated, key=lambda name: repeated[name])
                facts.append(f'{number} images of {camera} have the stamp of the one before: its clock stands still')
            raise GdfusionError('; '.join([*facts, *self._left_out, counts.last_drop]).removesuffix('; '))


def require_inputs(bag: BagReader, pipeline: PipelineSettings, topics: TopicSettings, *, lidar: bool = False) -> None:
    """Make sure that the bag has what a grid needs.

    Static transforms may be missing, and where ``missing_camera`` is mask, every camera but the reference camera. With
    ``lidar``, clouds have to be there unless ``missing_lidar`` is camera_only.

    Raises:
        GdfusionError: names what is missing and lists what is there.
    """
    optional = {topics.tf_static_topic}
    if pipeline.missing_camera == 'mask':
        for camera in set(pipeline.cameras) - {pipeline.reference_camera}:
            optional |= {topics.image(camera), topics.camera_info(camera)}
    inputs = input_topics(pipeline, topics, lidar=lidar)
    clouds = inputs.pop(topics.lidar_topic, None)
    bag.require({topic: type_name for topic, type_name in inputs.items() if topic not in optional})
    if clouds is not None and pipeline.missing_lidar != 'camera_only':
        bag.require(
            {topics.lidar_topic: clouds},
            "the network takes LiDAR clouds, too ('gdfusion convert --lidar' writes those of nuScenes, "
            "'missing_lidar: camera_only' goes without)",
        )


def _first_of_each(warn: Callable[[str], object]) -> Callable[[str, str], None]:
    """``warn`` for the first line about each topic only; the rest is counted."""
    named: set[str] = set()

    def warning(topic: str, line: str) -> None:
        if topic not in named:
            named.add(topic)
            warn(line)

    return warning


def _ahead(sets: Iterator[tuple[PosedSet, int]]) -> Iterator[tuple[PosedSet, int]]:
    """The same, but a few sets late: the images of those ahead are being decoded meanwhile."""
    waiting: deque[tuple[PosedSet, int]] = deque()
    for item in sets:
        waiting.append(item)
        if len(waiting) > _LOOK_AHEAD:
            yield waiting.popleft()
    yield from waiting
