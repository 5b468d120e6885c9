"""From single messages to sets of images with poses: the part of the pipeline that the message callbacks feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.transforms import TransformSource
from gdfusion_ros.perception.types import CameraModel, Pixels, PosedSet, StampedTransform
from gdfusion_ros.settings import PipelineSettings


class FrameAssembler:
    """Collects images, calibration and transforms until they make a PosedSet.

    Every method may be called from any thread and returns at once: images are decoded in the preprocessor's pool, and
    nothing ever waits for a transform. ``now`` [s] is the caller's clock for waiting times only: monotonic wall clock
    live, the record time when a bag is read. The sets depend on the messages alone, in whatever order they come in
    between topics, as long as no waiting time runs out.
    """

    def __init__(self, settings: PipelineSettings, preprocessor: Preprocessor, *,
                 transforms: TransformSource | None = None,
                 history_stamp: Callable[[int], int | None] | None = None,
                 counters: Counters | None = None) -> None:
        """``transforms``: None for the own tree, which ``add_transforms`` feeds; else where to look transforms up.

        ``history_stamp`` gives the stamp of PosedSet.history_pose for the stamp of a set (the released protocol's
        LiDAR stamp), None where there is none: that set is dropped. Without it, the set's own stamp is taken.
        """
        self.counters = counters or Counters(settings.cameras)

    def add_camera_info(self, camera: str, model: CameraModel, now: float) -> None:
        """The calibration of ``camera``, from here on."""
        raise NotImplementedError

    def add_image(self, camera: str, stamp: int, frame_id: str, load: Callable[[], Pixels], now: float) -> None:
        """An image that ``load`` decodes to (h, w, 3) uint8 RGB; called in another thread, and only if it is needed.

        ``load`` raises GdfusionError for an image that cannot be decoded: its set is then refused by the estimator.
        """
        raise NotImplementedError

    def add_transforms(self, transforms: Iterable[StampedTransform], now: float, *, static: bool) -> None:
        """Transforms of /tf, or of /tf_static with ``static``, for the own tree."""
        raise NotImplementedError

    def poll(self, now: float) -> None:
        """Let waiting times run out, and look again for transforms; call it a few times a second."""
        raise NotImplementedError

    def flush(self) -> None:
        """Nothing more will come (the bag is at its end): close every set that waits."""
        raise NotImplementedError

    def take(self) -> PosedSet | None:
        """The next set, oldest first; None if there is none."""
        raise NotImplementedError

    def wait(self, timeout: float) -> bool:
        """Block up to ``timeout`` [s] until there is a set to take; whether there is one."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all images, sets and timed transforms; calibration and static transforms stay."""
        raise NotImplementedError
