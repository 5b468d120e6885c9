"""Where a demo keeps what it makes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from gdfusion_ros.errors import GdfusionError

_MARK = '.gdfusion-demo'


@dataclass(frozen=True)
class Folder:
    """Where a demo keeps what it makes."""

    path: Path

    @property
    def dataset(self) -> Path:
        """The synthetic scene, where none was given."""
        return self.path / 'synthetic'

    @property
    def bags(self) -> Path:
        """One bag a scene."""
        return self.path / 'bags'

    @property
    def grids(self) -> Path:
        """The bag with what the node published."""
        return self.path / 'grids'

    @property
    def scores(self) -> Path:
        """How the grids compare with the ground truth."""
        return self.path / 'scores.md'

    @property
    def picture(self) -> Path:
        """The last grid."""
        return self.path / 'last_grid.png'

    @property
    def video(self) -> Path:
        """Every grid, in real time."""
        return self.path / 'drive.mp4'

    @property
    def page(self) -> Path:
        """Every grid, to be explored in a browser."""
        return self.path / 'drive.html'

    @property
    def log(self) -> Path:
        """What the node printed."""
        return self.path / 'node.log'

    def clear(self) -> None:
        """Make the folder ready: an earlier demo's output is removed, anything else is left alone.

        Raises:
            GdfusionError: the folder holds something and is not an earlier demo's, or it cannot be written.
        """
        mark = self.path / _MARK
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not mark.exists() and any(self.path.iterdir()):
                raise GdfusionError(f'{self.path} is not empty and not of an earlier demo; choose another folder')
            mark.touch()
            for folder in (self.dataset, self.bags, self.grids):
                if folder.exists():
                    shutil.rmtree(folder)
            for file in (self.scores, self.picture, self.video, self.page, self.log):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise GdfusionError(f'{self.path} cannot be written: {error.strerror}') from error
