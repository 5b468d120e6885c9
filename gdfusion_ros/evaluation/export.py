"""Predictions as the files that the Occ3D benchmark takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.evaluation.alignment import known_labels
from gdfusion_ros.evaluation.frames import KeyFrame
from gdfusion_ros.files import folder_written_whole
from gdfusion_ros.names import is_file_name
from gdfusion_ros.perception.types import SemanticGrid, stamp_text


@contextmanager
def npz_folder(path: Path) -> Iterator[Callable[[KeyFrame, SemanticGrid], None]]:
    """A new folder, and the function that writes the prediction of a key frame to it as ``<sample token>.npz``.

    A file has one uint8 array (X, Y, Z) without a name, what ``grid_file.read_prediction`` reads.

    Raises:
        GdfusionError: the folder exists or cannot be written, or a key frame has no token of its own.
    """
    with folder_written_whole(path) as folder:
        folder.mkdir()

        def write(frame: KeyFrame, grid: SemanticGrid) -> None:
            if not is_file_name(frame.token):  # it comes from tables or bags of others
                said = f'the sample token {frame.token!r}, not fit' if frame.token else 'no sample token'
                raise GdfusionError(
                    f'the key frame at {stamp_text(frame.stamp)} has {said} to name its file after; '
                    "'gdfusion convert' writes tokens to bags"
                )
            file = folder / f'{frame.token}.npz'
            if file.exists():
                raise GdfusionError(
                    f'two key frames have the sample token {frame.token}; evaluate their bags one by one'
                )
            np.savez_compressed(file, np.ascontiguousarray(known_labels(grid)))

        yield write
