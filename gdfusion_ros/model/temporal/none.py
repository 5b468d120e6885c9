"""Memory slot of networks that remember nothing of the volume."""

from __future__ import annotations

from torch import Tensor, nn

from gdfusion_ros.model.interface import Calibration, Previous
from gdfusion_ros.model.probe import Pass


class NoMemory(nn.Module):
    """Passes the volume on."""

    def geometry(self, calibration: Calibration, previous: Previous | None) -> None:
        """Nothing is needed."""

    def forward(self, volume: Tensor, geometry: None, state: None, run: Pass) -> tuple[Tensor, None]:
        """The volume as it is, and no state."""
        del geometry, state, run
        return volume, None

    def emptied(self, state: None) -> None:
        """There is nothing to forget."""

    def fusion(self, cue: str) -> nn.Module:
        """Nothing fuses."""
        raise KeyError(cue)

    def start_neutral(self, cue: str) -> None:
        """Nothing fuses."""
        raise KeyError(cue)
