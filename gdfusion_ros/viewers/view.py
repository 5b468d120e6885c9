"""What a viewer is given of one instant, and what a viewer is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.types import Matrix
from gdfusion_ros.visualization.snapshot import Snapshot


class PlacedCamera(NamedTuple):
    """The camera of an image that is shown.

    Attributes:
        intrinsics: (3, 3) K of the pixels as they are shown [px].
        grid_from_camera: (4, 4) from its optical frame when it took the image into the grid's frame at its stamp.
    """

    intrinsics: Matrix
    grid_from_camera: Matrix


@dataclass(frozen=True, eq=False)
class View:
    """A grid with all that is shown of the same instant.

    Attributes:
        snapshot: The grid, its ground truth, and the images by camera.
        cameras: By name, the cameras whose calibration and place are known.
        fixed_frame: Name of the frame that the vehicle drives in.
        fixed_from_grid: (4, 4) where the grid's frame is in it; None where that is not known.
        numbers: By name, what is drawn over time, such as scores and milliseconds.
        statuses: The last diagnostics.
    """

    snapshot: Snapshot
    cameras: Mapping[str, PlacedCamera] = field(default_factory=dict)
    fixed_frame: str = 'map'
    fixed_from_grid: Matrix | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    statuses: tuple[Status, ...] = ()

    @property
    def stamp(self) -> int:
        """Of the grid [ns]."""
        return self.snapshot.grid.stamp


class Viewer(Protocol):
    """Shows one view after the other. Both methods are called by one thread."""

    def show(self, view: View) -> None:
        """Show ``view`` to whoever looks; what has not been sent of an earlier one is given up.

        Raises:
            GdfusionError: it cannot be shown.
        """

    def close(self) -> None:
        """End, and let everybody go who looks."""
