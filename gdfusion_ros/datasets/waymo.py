"""Occ3D's labels of Waymo: one ``.npz`` a frame, with masks of what lies in the cameras' view and what was observed.

Arrays are (200, 200, 16), index [x][y][z], in the ego frame: ``voxel_label`` (or ``semantics``), in which 23 is free
space, ``infov``, and ``final_voxel_state``, which is 0 where nothing was observed. Scored is what lies in view and was
observed (alocc.md §9.4, training.md §3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gdfusion_ros.datasets.arrays import as_numbered, labels_of, read_npz, read_one_of, require_mostly_free
from gdfusion_ros.datasets.occ3d import SOURCE
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import UNKNOWN, WAYMO
from gdfusion_ros.perception.types import SemanticGrid

MASKS = ('infov', 'final_voxel_state')
_LABELS = ('voxel_label', 'semantics')


def read_grid(path: Path, stamp: int, frame_id: str) -> SemanticGrid:
    """The labels in an ``.npz`` file as a grid at ``stamp`` [ns]; its confidence is 255 where they are scored, else 0.

    Raises:
        GdfusionError: the file is missing or damaged, or an array is missing, of another shape or out of range.
    """
    name, array = read_one_of(path, _LABELS)
    labels = as_numbered(labels_of(array, WAYMO.grid, f'labels {path}: {name}'), WAYMO)
    highest = labels.max(where=labels != UNKNOWN, initial=0)
    if highest > WAYMO.ids[-1]:
        raise GdfusionError(f'labels {path}: there is a class {highest}; expected 0 to 14, and 15 or 23 for free')
    require_mostly_free(labels, WAYMO.free, f'labels {path}')
    view, observed = (
        labels_of(mask, WAYMO.grid, f'labels {path}: {mask_name}', flags=True)
        for mask_name, mask in read_npz(path, MASKS).items()
    )
    scored = np.where((view != 0) & (observed != 0), np.uint8(255), np.uint8(0))
    return SemanticGrid.of_labels(stamp, frame_id, labels, WAYMO, SOURCE, scored)
