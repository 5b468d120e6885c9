from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.datasets import occ3d
from gdfusion_ros.datasets.grid_file import read_grid, read_prediction
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import Pixels

SHAPE = OCC3D_NUSCENES.grid.shape


@pytest.fixture
def labels() -> Pixels:
    return np.random.default_rng(0).integers(0, 18, SHAPE, np.uint8)


def test_labels_of_the_dataset(labels: Pixels, tmp_path: Path) -> None:
    everywhere = np.ones(SHAPE, np.bool_)
    occ3d.write(tmp_path / 'labels.npz', occ3d.Occ3DLabels(labels, everywhere, everywhere))
    grid = read_grid(tmp_path / 'labels.npz')
    assert np.array_equal(grid.labels, labels)
    assert (grid.model, grid.stamp, grid.frame_id) == ('ground truth', 0, 'base_link')


def test_a_prediction_of_the_benchmark(labels: Pixels, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / 'token.npz', labels)
    grid = read_grid(tmp_path / 'token.npz')
    assert np.array_equal(grid.labels, labels)
    assert (grid.model, grid.origin, grid.voxel_size) == ('token.npz', (-40, -40, -1), (0.4, 0.4, 0.4))
    assert grid.labels.flags.f_contiguous


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (b'PK\3\4 but no archive', 'token.npz cannot be read'),
        ({'other': np.zeros(3)}, 'has no array arr_0 or pred or semantics; it has other'),
        (b'<html>', 'cannot be read: it is neither an .npy nor an .npz file'),
        ({'arr_0': np.full(SHAPE, 16, np.uint8)}, r'no voxel is free \(17 here\); the classes are numbered otherwise'),
        ({'arr_0': np.zeros((*SHAPE, 18), np.float16)}, r'float16 \(200, 200, 16, 18\), expected uint8'),
        ({'arr_0': np.ones(SHAPE, np.bool_)}, r'bool \(200, 200, 16\), expected uint8'),
        ({'arr_0': np.full(SHAPE, 18, np.uint8)}, 'there is a class 18; occ3d_nuscenes has 0 to 17'),
        ({'arr_0': np.zeros((2, 2, 2), np.uint8)}, r'uint8 \(2, 2, 2\), expected uint8 \(200, 200, 16\)'),
    ],
)
def test_other_files_are_one_clear_line(content: bytes | dict[str, NDArray[Any]], said: str, tmp_path: Path) -> None:
    path = tmp_path / 'token.npz'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(GdfusionError, match=said):
        read_grid(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match=r'none\.npz'):
        read_grid(tmp_path / 'none.npz')


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'token.npz')
    with pytest.raises(GdfusionError, match=r'token\.npz cannot be read: it is no file'):
        read_prediction(tmp_path / 'token.npz', OCC3D_NUSCENES)
