"""What one picture, one frame of a video or one step of a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.perception.types import NANOSECONDS, Pixels, SemanticGrid, stamp_text
from gdfusion_ros.settings import SURROUND_CAMERAS

_EDGES, _FARTHEST = (1e-3, 1e4), 1e8
"""Edges of voxels, and how far a grid may begin from its frame's origin, to be drawn [m]."""

_UNTRAINED = '(untrained)'


@dataclass(frozen=True)
class Parts:
    """What frames have beside their grids."""

    truth: bool
    images: bool


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A grid with what belongs to it.

    ``truth`` is the ground truth of the same instant, ``images`` are (h, w, 3) RGB by camera name. A stamp of 0 says
    that the grid comes without one.

    Raises:
        GdfusionError: the ground truth has other classes than the grid, or one of them has voxels or a place that no
            vehicle has.
    """

    grid: SemanticGrid
    truth: SemanticGrid | None = None
    images: Mapping[str, Pixels] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for grid in filter(None, (self.grid, self.truth)):
            _require_place(grid)
        if self.truth is not None and self.truth.label_set != self.grid.label_set:
            raise GdfusionError(
                f'the grid at {stamp_text(self.grid.stamp)} has classes of {self.grid.label_set.name}, '
                f'its ground truth of {self.truth.label_set.name}; show them one at a time'
            )

    @property
    def parts(self) -> Parts:
        """What there is beside the grid."""
        return Parts(self.truth is not None, bool(self.images))

    @property
    def model(self) -> str:
        """Name of the model that made the grid."""
        return printable(self.grid.model.removesuffix(_UNTRAINED).strip(), 80)

    @property
    def untrained(self) -> bool:
        """Whether that model has random weights."""
        return self.grid.model.endswith(_UNTRAINED)

    @property
    def moment(self) -> str:
        """The stamp as date and time; nothing without a stamp."""
        seconds, rest = divmod(self.grid.stamp, NANOSECONDS)
        date = datetime.fromtimestamp(seconds, timezone.utc).strftime('%Y-%m-%d %H:%M:%S')
        return f'{date}.{rest // 1_000_000:03d} UTC' if self.grid.stamp else ''

    @property
    def cameras(self) -> tuple[str, ...]:
        """The rig in the order that it is shown: a surround rig keeps the place of a camera that did not go in."""
        cameras = self.grid.cameras or tuple(self.images)
        return SURROUND_CAMERAS if set(cameras) <= set(SURROUND_CAMERAS) else cameras


def _require_place(grid: SemanticGrid) -> None:
    """Raise GdfusionError where sizes are so odd that the arithmetic of a picture would end in infinities."""
    edges = all(_EDGES[0] <= edge <= _EDGES[1] for edge in grid.voxel_size)
    if not edges or not all(abs(value) <= _FARTHEST for value in grid.origin):
        raise GdfusionError(
            f'the grid at {stamp_text(grid.stamp)} in {grid.frame_id} has voxels of '
            f'{" x ".join(f"{edge:g}" for edge in grid.voxel_size)} m from '
            f'({", ".join(f"{value:g}" for value in grid.origin)}) m: no picture shows that; expected edges of '
            f'{_EDGES[0]:g} to {_EDGES[1]:g} m, at most {_FARTHEST:g} m away; mend voxel_size and origin'
        )
