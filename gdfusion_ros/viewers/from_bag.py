"""The grids of a bag as viewers take them: with placed cameras, the vehicle's pose and diagnostics, as far as known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.bags.snapshots import BagSnapshots, Sources, bag_snapshots
from gdfusion_ros.bags.topic_index import TopicIndex, topic_indexes
from gdfusion_ros.bags.transforms import transforms_of
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.camera_info import camera_model
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE, statuses
from gdfusion_ros.messages.images import EncodedImage
from gdfusion_ros.messages.inputs import CAMERA_INFO_TYPE
from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.poses import product
from gdfusion_ros.perception.transforms import TransformError, TransformTree
from gdfusion_ros.perception.types import CameraModel, Matrix, Pixels, SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings
from gdfusion_ros.viewers.view import PlacedCamera, View
from gdfusion_ros.visualization.snapshot import Snapshot

Measure = Callable[[Snapshot], Mapping[str, float]]
_USUAL_PIPELINE, _USUAL_TOPICS = PipelineSettings(), TopicSettings()


@dataclass(frozen=True, eq=False)
class BagViews:
    """The views of an open bag, in the order of its grids; each is read when asked for. Made by ``bag_views``.

    Attributes:
        snapshots: The grids with images and ground truth.
        fixed_frame: Name of the frame that the vehicle drives in.
        measure: What is to be drawn over time.
    """

    snapshots: BagSnapshots
    fixed_frame: str
    measure: Measure
    _tree: TransformTree
    _models: Mapping[str, CameraModel]
    _diagnostics: TopicIndex | None

    def __len__(self) -> int:
        return len(self.snapshots)

    @property
    def stamps(self) -> list[int]:
        """Of the grids [ns]."""
        return self.snapshots.stamps

    def __getitem__(self, index: int) -> View:
        """The view at ``index``, from 0.

        Raises:
            GdfusionError: a message is damaged.
        """
        snapshot, images = self.snapshots.with_images(index)
        grid = snapshot.grid
        cameras = {
            camera: place
            for camera, image in images.items()
            if (place := self._placed(camera, image, snapshot.images[camera], grid)) is not None
        }
        return View(
            snapshot,
            cameras,
            self.fixed_frame,
            self._pose(grid.frame_id, grid.stamp),
            self.measure(snapshot),
            self._statuses(grid.stamp),
        )

    def _placed(self, camera: str, image: EncodedImage, pixels: Pixels, grid: SemanticGrid) -> PlacedCamera | None:
        """Where a camera was; None where calibration or transforms are missing.

        Each end is placed by the vehicle's pose at its own stamp, as the network does it.
        """
        if camera not in self._models:
            return None
        grid_from_fixed, fixed_from_camera = None, self._pose(image.frame_id, image.stamp)
        with suppress(TransformError):
            grid_from_fixed = self._tree.lookup(grid.frame_id, self.fixed_frame, grid.stamp)
        if grid_from_fixed is None or fixed_from_camera is None:
            return None
        model = self._models[camera]
        scale = np.diag([pixels.shape[1] / model.width, pixels.shape[0] / model.height, 1.0])
        return PlacedCamera(scale @ model.intrinsics, product(grid_from_fixed, fixed_from_camera))

    def _pose(self, frame: str, stamp: int) -> Matrix | None:
        """(4, 4) fixed_from_frame at ``stamp`` [ns]; None where the bag does not tell."""
        try:
            return self._tree.lookup(self.fixed_frame, frame, stamp)
        except TransformError:
            return None

    def _statuses(self, stamp: int) -> tuple[Status, ...]:
        """The last diagnostics before ``stamp`` [ns], or the first."""
        if self._diagnostics is None:
            return ()
        earlier = np.flatnonzero(self._diagnostics.stamps <= stamp)
        return statuses(self._diagnostics.message(int(earlier[-1]) if len(earlier) else 0).status)


@contextmanager
def bag_views(
    bag: Path,
    grids: Path | None,
    topic: str,
    *,
    pipeline: PipelineSettings = _USUAL_PIPELINE,
    topics: TopicSettings = _USUAL_TOPICS,
    measure: Measure = lambda _: {},
    tell: Callable[[str], object] = lambda _: None,
) -> Iterator[BagViews]:
    """The views of the grids on ``topic`` of the bag ``grids`` (None: of ``bag`` itself).

    Args:
        bag: With images, calibration, transforms and perhaps ground truth; what it lacks is not shown.
        grids: With the grids, as 'gdfusion replay' writes it.
        topic: Of the grids.
        pipeline: The cameras and the fixed frame.
        topics: Of the images, of their calibration and of the transforms.
        measure: What is to be drawn over time, by name.
        tell: Takes a line for the user.

    Raises:
        GdfusionError: a bag cannot be read, has no grids, or is not of the same drive.
    """
    sources = Sources(grids or bag, topic, () if grids is None else (bag,), topics=topics)
    with bag_snapshots(sources, tell) as snapshots, bag_reader(bag) as reader, bag_reader(sources.grids) as beside:
        diagnostics = topic_indexes([beside], [DIAGNOSTICS_TYPE]).get(DIAGNOSTICS_TOPIC)
        yield BagViews(
            snapshots,
            pipeline.fixed_frame,
            measure,
            transforms_of(reader, topics),
            dict(_models(reader, pipeline.cameras, topics)),
            diagnostics,
        )


def _models(bag: BagReader, cameras: Sequence[str], topics: TopicSettings) -> Iterator[tuple[str, CameraModel]]:
    """The calibration of every camera that has one, by its first message."""
    for camera in cameras:
        name = topics.camera_info(camera)
        if name in bag.topics and bag.topics[name].type_name == CAMERA_INFO_TYPE:
            for item in bag.messages([name]):
                with suppress(GdfusionError):
                    yield camera, camera_model(item.message, name)
                break
