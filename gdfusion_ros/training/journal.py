"""What a run tells of itself: numbers for TensorBoard, and a picture of its curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import written_whole

Entry = tuple[int, dict[str, float]]
"""A step and what was measured there, by name, e.g. ``loss/depth`` or ``validation/mIoU``."""

try:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise GdfusionError(f"training needs {error.name}: pip install 'gdfusion-ros[train]'") from error


class Journal:
    """Numbers of a run, in TensorBoard's files and in memory."""

    def __init__(self, folder: Path, entries: Sequence[Entry] = ()) -> None:
        """``entries`` are those of the run so far; ``folder`` takes TensorBoard's files."""
        self.entries = list(entries)
        self._writer: Any = SummaryWriter(str(folder), purge_step=self.entries[-1][0] + 1 if self.entries else None)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Keep what was measured at ``step``."""
        self.entries.append((step, dict(values)))
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def draw(self, path: Path) -> None:
        """Write the curves as a PNG, one panel for what has the same first word; an older picture is replaced.

        Before anything was measured there is no picture.
        """
        panels: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
        for step, values in self.entries:
            for name, value in values.items():
                panel, _, curve = name.partition('/')
                panels[panel][curve].append((step, value))
        if not panels:
            return
        figure = Figure(figsize=(8, 3 * len(panels)), layout='constrained')
        for axes, (panel, curves) in zip(
            figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True
        ):
            for name, points in sorted(curves.items()):
                axes.plot(*zip(*points, strict=True), label=name)
            axes.set(xlabel='step', ylabel=panel)
            axes.grid(alpha=0.3)
            axes.legend(loc='upper right', fontsize='small')
        with written_whole(path) as draft:
            figure.savefig(draft, format='png', dpi=120)

    def close(self) -> None:
        """Write what TensorBoard's files lack."""
        self._writer.close()
