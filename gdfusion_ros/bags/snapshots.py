"""The grids of a bag with what belongs to them: ground truth and camera images, from this bag or from others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from gdfusion_ros.bags.messages import GRID_TYPE
from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.bags.released import MATCH_WITHIN
from gdfusion_ros.bags.topic_index import TopicIndex, topic_indexes
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.images import EncodedImage, compressed_image, image
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC
from gdfusion_ros.perception.types import NANOSECONDS, SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS, TopicSettings
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

_USUAL = TopicSettings()
_IMAGES = {'sensor_msgs/msg/CompressedImage': compressed_image, 'sensor_msgs/msg/Image': image}


@dataclass(frozen=True)
class Sources:
    """Where frames come from.

    Attributes:
        grids: The bag with the grids.
        topic: Their topic.
        images: Bags with the camera images; none: the bag with the grids.
        truth: The bag with the ground truth; None: the bag with the grids or those with the images, if it is there.
        topics: Where the images are, compressed or raw.
    """

    grids: Path
    topic: str
    images: tuple[Path, ...] = ()
    truth: Path | None = None
    topics: TopicSettings = _USUAL

    @property
    def transports(self) -> tuple[TopicSettings, ...]:
        """The same topics for compressed images and for raw ones."""
        return tuple(replace(self.topics, image_transport=transport) for transport in ('compressed', 'raw'))

    def has_images(self, topic: str) -> bool:
        """Whether ``topic`` may be that of a camera."""
        names = (re.escape(topics.image('{camera}')).replace(r'\{camera\}', '[^/]+') for topics in self.transports)
        return any(re.fullmatch(name, topic) for name in names)


class BagSnapshots:
    """The grids of open bags and what belongs to each, in the order of the recording; each is read when asked for.

    An image that cannot be read costs itself: its grid is shown without it, and the first of each camera is told.
    """

    def __init__(
        self,
        grids: TopicIndex,
        truth: TopicIndex | None,
        images: Mapping[str, TopicIndex],
        transports: Sequence[TopicSettings],
        tell: Callable[[str], object],
    ) -> None:
        """Take the topic of the grids, that of the ground truth, and those with images by name; their names' forms.

        ``tell`` takes a line for the user.
        """
        self._grids, self._truth, self._images, self._transports = grids, truth, images, transports
        self._tell, self._told = tell, set[str]()

    @property
    def stamps(self) -> list[int]:
        """Stamps of the grids [ns]."""
        return [int(stamp) for stamp in self._grids.stamps]

    @cached_property
    def parts(self) -> Parts:
        """Whether there is ground truth, and whether there are images, of the time of any grid."""
        return Parts(
            truth=self._truth is not None and _same_time(self._truth, self.stamps),
            images=any(_same_time(entries, self.stamps) for entries in self._images.values()),
        )

    def __len__(self) -> int:
        return len(self._grids)

    def __getitem__(self, index: int) -> Snapshot:
        """The frame at ``index``, from 0.

        Raises:
            GdfusionError: a grid is damaged, or the ground truth has other classes.
        """
        return self.with_images(index)[0]

    def with_images(self, index: int) -> tuple[Snapshot, Mapping[str, EncodedImage]]:
        """The frame at ``index``, and its images by camera with their own stamps and frames.

        Raises:
            GdfusionError: as above.
        """
        grid = _grid(self._grids, index)
        number = None if self._truth is None else self._truth.nearest(grid.stamp, MATCH_WITHIN)
        truth = None if self._truth is None or number is None else _grid(self._truth, number)
        images, pixels = {}, {}
        for camera, (entries, place) in self._images_of(grid).items():
            try:
                image = _IMAGES[entries.type_name](entries.message(place), entries.topic)
                pixels[camera] = image.load()
                images[camera] = image
            except GdfusionError as error:
                if camera not in self._told:
                    self._told.add(camera)
                    self._tell(f'{error}; its grid is shown without it, as any other of {camera} that cannot be read')
        return Snapshot(grid, truth, pixels), images

    def nearest(self, stamp: int) -> int:
        """Number of the grid whose stamp is nearest to ``stamp`` [ns]."""
        return self._grids.nearest(stamp) or 0

    def _images_of(self, grid: SemanticGrid) -> dict[str, tuple[TopicIndex, int]]:
        """By camera where the image nearest to the grid's stamp is, if it is no farther than those that went in."""
        cameras, within = (grid.cameras, grid.stamp_spread) if grid.cameras else (SURROUND_CAMERAS, MATCH_WITHIN)
        images = {}
        for camera in cameras:
            for name in (topics.image(camera) for topics in self._transports):
                if (entries := self._images.get(name)) is None:
                    continue
                index = entries.nearest(grid.stamp, within)
                if index is not None:
                    images[camera] = entries, index
        return images


@contextmanager
def bag_snapshots(sources: Sources, tell: Callable[[str], object] = lambda _: None) -> Iterator[BagSnapshots]:
    """Open the bags of ``sources``; ``tell`` takes a line for the user.

    Raises:
        GdfusionError: a bag cannot be read, has no grids, or nothing in it is of the time of the grids.
    """
    with ExitStack() as stack:

        def opened(paths: Iterable[Path]) -> list[BagReader]:
            return [stack.enter_context(bag_reader(path)) for path in paths]

        (bag,) = opened([sources.grids])
        others = opened(sources.images)
        bag.require(
            {sources.topic: GRID_TYPE}, "no grids ('gdfusion replay' makes them of images, --topic takes others)"
        )
        grids = topic_indexes([bag], [GRID_TYPE])
        images = topic_indexes(others or [bag], _IMAGES)
        images = {name: entries for name, entries in images.items() if sources.has_images(name)}
        truths = topic_indexes(opened([sources.truth]) if sources.truth else others, [GRID_TYPE])
        truth = (truths if sources.truth else grids | truths).get(GROUND_TRUTH_TOPIC)
        shown_truth = None if sources.topic == GROUND_TRUTH_TOPIC else truth
        frames = BagSnapshots(grids[sources.topic], shown_truth, images, sources.transports, tell)
        if sources.images and not frames.parts.images:
            raise _missing(sources.images, f'camera image on {sources.topics.image_topic} (setting image_topic)')
        if sources.truth and not frames.parts.truth:
            raise _missing([sources.truth], f'ground truth on {GROUND_TRUTH_TOPIC}')
        yield frames


def _missing(paths: Sequence[Path], what: str) -> GdfusionError:
    return GdfusionError(
        f'{", ".join(map(str, paths))}: no {what} within {MATCH_WITHIN / NANOSECONDS:g} s of a grid; '
        'are they of the same drive?'
    )


def _same_time(entries: TopicIndex, stamps: Iterable[int]) -> bool:
    """Whether any message of ``entries`` is of the time of any of ``stamps``."""
    return any(entries.nearest(stamp, MATCH_WITHIN) is not None for stamp in stamps)


def _grid(entries: TopicIndex, index: int) -> SemanticGrid:
    return decode.semantic_grid(entries.message(index), entries.topic)
