"""Memory slot of networks that see a volume and remember a view (gsdocc.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.probe import Pass
from gdfusion_ros.model.slots import MemorySlot


@dataclass(frozen=True, eq=False)
class ViewAndVolume:
    """What the decoder is given.

    Attributes:
        view: (1, C, Y, X) what is seen and remembered, from above.
        volume: (1, C', Y, X, Z) what is seen now.
    """

    view: Tensor
    volume: Tensor


class FlattenedMemory(nn.Module):
    """The mean of the volume's heights goes into the memory of views; the volume itself is passed on beside it."""

    def __init__(self, views: MemorySlot) -> None:
        """``views``: a memory slot of views (1, C, Y, X); a module."""
        super().__init__()
        self.views = views

    def geometry(self, calibration: Calibration, previous: Previous | None) -> Any:
        """What the memory of views needs."""
        return self.views.geometry(calibration, previous)

    def forward(self, volume: Tensor, geometry: Any, state: Any, run: Pass) -> tuple[ViewAndVolume, Any]:
        """The volume (1, C, Y, X, Z) beside the view with what is remembered, and what is to be remembered."""
        view, remembered = self.views(volume.mean(-1), geometry, state, run)
        return ViewAndVolume(view, volume), remembered

    def emptied(self, state: Any) -> Any:
        """Of the memory of views."""
        return self.views.emptied(state)

    def fusion(self, cue: str) -> nn.Module:
        """Of the memory of views."""
        return self.views.fusion(cue)

    def start_neutral(self, cue: str) -> None:
        """Of the memory of views."""
        self.views.start_neutral(cue)
