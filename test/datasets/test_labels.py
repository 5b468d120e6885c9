"""The three label formats, read from files."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from gdfusion_ros.datasets import nuscenes, occ3d, openoccupancy, surroundocc
from gdfusion_ros.datasets.grid_file import read_grid, read_prediction
from gdfusion_ros.datasets.labels import FORMATS
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import SURROUNDOCC_NUSCENES, UNKNOWN, WAYMO
from gdfusion_ros.perception.regrid import voxel_grid


def save(path: Path, array: object) -> Path:
    np.save(path, np.asarray(array))
    return path


def test_surroundocc_lists_x_y_z_class(tmp_path: Path) -> None:
    labels = surroundocc.read(save(tmp_path / 'a.npy', [[1, 2, 3, 4], [199, 0, 15, 16], [0, 199, 0, 0]]))
    assert labels.shape == (200, 200, 16)
    assert (labels[1, 2, 3], labels[199, 0, 15], labels[0, 199, 0], labels[5, 5, 5]) == (4, 16, UNKNOWN, 17)
    assert np.count_nonzero(labels != 17) == 3


@pytest.mark.parametrize(
    'rows',
    [
        [[3, 2, 1, 4], [39, 0, 511, 16], [0, 511, 0, 0]],
        [[3, 2, 1, 0.5, -7.25, 0, 4], [39, 0, 511, 0, 0, 0, 16], [0, 511, 0, 0, 0, 0, 0]],
    ],
    ids=['plain', 'velocities'],
)
def test_openoccupancy_lists_z_y_x_class(tmp_path: Path, rows: list[list[float]]) -> None:
    labels = openoccupancy.read(save(tmp_path / 'a.npy', rows))
    assert labels.shape == (512, 512, 40)
    assert (labels[1, 2, 3], labels[511, 0, 39], labels[0, 511, 0], labels[5, 5, 5]) == (4, 16, UNKNOWN, 0)
    assert np.count_nonzero(labels) == 3


def test_nothing_listed_is_free(tmp_path: Path) -> None:
    assert (surroundocc.read(save(tmp_path / 'a.npy', np.zeros((0, 4)))) == 17).all()


@pytest.mark.parametrize(
    ('rows', 'reason'),
    [
        ([[1, 2, 3]], 'labels {path} are int64 (1, 3), expected numbers in rows of 4'),
        (np.ones((4, 99), int), 'labels {path} are int64 (4, 99), expected numbers in rows of 4'),
        (np.zeros((9, 6), int), 'labels {path} are int64 (9, 6), expected'),
        (np.zeros((9, 4), np.int8), 'labels {path} are int8, which cannot hold indices up to 199: they were cut off'),
        (np.zeros((1, 9, 4), int), 'labels {path} are int64 (1, 9, 4), expected'),
        ([1, 2, 3, 4], 'labels {path} are int64 (4,), expected'),
        ([['a'] * 4], 'labels {path} are <U1 (1, 4), expected'),
        (
            [[0, 0, 0, 1], [200, 0, 0, 1]],
            'labels {path}: row 1 is [200, 0, 0, 1]; indices go to [199, 199, 15], classes',
        ),
        ([[-1, 0, 0, 1]], 'row 0 is [-1, 0, 0, 1]'),
        ([[0, 0, 0, 17]], 'classes to 16'),
        ([[0, 0.5, 0, 1]], 'row 0 is [0.0, 0.5, 0.0, 1.0]'),
        ([[0, float('nan'), 0, 1]], 'row 0 is [0.0, nan, 0.0, 1.0]'),
        ([[0, float('inf'), 0, 1]], 'row 0 is [0.0, inf, 0.0, 1.0]'),
    ],
)
def test_lists_that_are_not_in_order_are_explained(tmp_path: Path, rows: object, reason: str) -> None:
    path = save(tmp_path / 'a.npy', rows)
    with pytest.raises(GdfusionError) as error:
        surroundocc.read(path)
    assert reason.format(path=path) in str(error.value)


KINDS = ['<i2', '>i4', '<i8', '<u2', '>u8', '<f2', '<f4', '>f8']


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('order', ['C', 'F'])
def test_lists_of_any_numbers(tmp_path: Path, kind: str, order: Literal['C', 'F']) -> None:
    rows = np.array([[39, 0, 511, 16], [3, 300, 1, 4], [0, 511, 0, 0]], kind, order=order)
    labels = openoccupancy.read(save(tmp_path / 'a.npy', rows))
    assert (labels[511, 0, 39], labels[1, 300, 3], labels[0, 511, 0]) == (16, 4, UNKNOWN)
    assert np.count_nonzero(labels) == 3


@pytest.mark.parametrize('rows', [np.zeros((9, 5)), np.zeros((9, 6)), np.zeros((9, 4), np.uint8)])
def test_lists_that_openoccupancy_does_not_have_are_refused(tmp_path: Path, rows: NDArray[Any]) -> None:
    with pytest.raises(GdfusionError, match=r'expected numbers in rows of 4 or 7|uint8, which cannot hold indices'):
        openoccupancy.read(save(tmp_path / 'a.npy', rows))


@pytest.mark.parametrize('kind', ['<i2', '>i4', '<u8'])
@pytest.mark.parametrize('flags', ['?', 'u1', '>i8'])
def test_occ3d_labels_of_any_whole_numbers(tmp_path: Path, kind: str, flags: str) -> None:
    street = arrays()['semantics']
    seen = np.random.default_rng(0).random(street.shape) < 0.5
    np.savez(
        tmp_path / 'labels.npz',
        semantics=np.asfortranarray(street.astype(kind)),
        mask_camera=seen.astype(flags)[None],
        mask_lidar=seen.astype(flags),
    )
    grid = occ3d.read_grid(tmp_path / 'labels.npz', 5, 'base_link')
    assert np.array_equal(grid.labels, street)
    assert grid.confidence is not None
    assert np.array_equal(grid.confidence == 255, seen)


def waymo_arrays() -> dict[str, NDArray[np.uint8]]:
    random = np.random.default_rng(2)
    shape = (200, 200, 16)
    labels = random.choice(np.array([*range(15), 23], np.uint8), shape)
    return {
        'voxel_label': labels,
        'infov': random.integers(0, 2, shape, np.uint8),
        'final_voxel_state': random.integers(0, 3, shape, np.uint8),
    }


def test_waymo_labels_have_their_own_free_and_count_where_seen_and_observed(tmp_path: Path) -> None:
    made = waymo_arrays()
    np.savez(tmp_path / 'a.npz', **made)
    grid = read_grid(tmp_path / 'a.npz')
    assert grid.label_set is WAYMO
    assert np.array_equal(grid.labels, np.where(made['voxel_label'] == 23, 15, made['voxel_label']))
    assert grid.confidence is not None
    assert np.array_equal(grid.confidence == 255, (made['infov'] > 0) & (made['final_voxel_state'] > 0))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'voxel_label': np.full((200, 200, 16), 16, np.uint8)}, 'there is a class 16; expected 0 to 14'),
        ({'voxel_label': np.ones((200, 200, 16), np.uint8)}, 'no voxel is free'),
        ({'infov': np.ones((200, 200), np.uint8)}, 'infov is uint8'),
    ],
)
def test_waymo_labels_that_are_not_in_order_are_explained(
    tmp_path: Path, change: dict[str, NDArray[np.uint8]], reason: str
) -> None:
    np.savez(tmp_path / 'a.npz', **{**waymo_arrays(), **change})
    with pytest.raises(GdfusionError, match=reason):
        read_grid(tmp_path / 'a.npz')


def test_predictions_of_surroundocc_may_have_0_for_free(tmp_path: Path) -> None:
    labels = np.zeros((200, 200, 16), np.uint8)
    labels[5, 6, 7] = 4
    read = read_prediction(save(tmp_path / 'a.npy', labels), SURROUNDOCC_NUSCENES)
    assert (read[5, 6, 7], np.count_nonzero(read == 17)) == (4, labels.size - 1)


def test_an_array_that_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / 'labels.npz'
    with (
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open('semantics.npy', 'w') as member,
    ):
        np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
            member, {'descr': '|u1', 'fortran_order': False, 'shape': (600, 1 << 20)}
        )
        for _ in range(600):
            member.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(GdfusionError, match=r'labels\.npz cannot be read: an array of 600 MB is no grid'):
        occ3d.read_grid(path, 5, 'base_link')
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def arrays(**changes: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    voxels = np.zeros((200, 200, 16), np.uint8)
    street = np.full((200, 200, 16), 17, np.uint8)
    street[..., 0] = 11
    named = {'semantics': street, 'mask_lidar': voxels, 'mask_camera': voxels, **changes}
    return {name: array for name, array in named.items() if array is not None}


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'mask_camera': None}, 'has no array mask_camera; it has semantics, mask_lidar'),
        ({'semantics': np.zeros((200, 200, 17), np.uint8)}, 'semantics is uint8 (200, 200, 17), expected uint8 (200, '),
        ({'semantics': np.zeros((200, 200, 16))}, 'semantics is float64 (200, 200, 16), expected uint8'),
        ({'semantics': np.ones((200, 200, 16), np.bool_)}, 'semantics is bool (200, 200, 16), expected uint8'),
        (
            {'semantics': np.full((16, 200, 200), 17)},
            'semantics is int64 (16, 200, 200), expected uint8 (200, 200, 16)',
        ),
        ({'semantics': np.full((200, 200, 16), 18, np.uint8)}, 'there is a class 18; Occ3D has 0 to 17'),
        ({'semantics': np.full((200, 200, 16), 16, np.uint8)}, 'no voxel is free (17 here)'),
        (
            {'semantics': np.where(np.indices((200, 200, 16))[2] > 3, 0, 17).astype(np.uint8)},
            '75 % of the voxels are of class 0, as if that were free, which is 17 here',
        ),
        ({'semantics': np.full((200, 200, 16), -1)}, 'semantics has numbers from -1 to -1; labels go from 0 to 255'),
        ({'mask_lidar': np.zeros((1, 1), object)}, 'cannot be read: it holds Python objects, which are not loaded'),
    ],
)
def test_occ3d_files_that_are_not_in_order_are_explained(
    tmp_path: Path, changes: dict[str, NDArray[Any] | None], reason: str
) -> None:
    np.savez(tmp_path / 'labels.npz', **arrays(**changes))
    with pytest.raises(GdfusionError) as error:
        occ3d.read(tmp_path / 'labels.npz')
    assert str(tmp_path / 'labels.npz') in str(error.value)
    assert reason in str(error.value)


def test_occ3d_labels_of_other_tools(tmp_path: Path) -> None:
    """Without masks, as whole numbers of any size, 255 where nothing is known."""
    semantics = arrays()['semantics'].astype(np.int64)
    semantics[0, 0, 0] = 255
    np.savez(tmp_path / 'labels.npz', semantics=semantics)
    grid = occ3d.read_grid(tmp_path / 'labels.npz', 5, 'base_link')
    assert grid.confidence is None
    assert grid.labels.dtype == np.uint8
    assert np.array_equal(grid.labels, semantics)
    with pytest.raises(GdfusionError, match='no array mask_lidar, mask_camera; it has semantics'):
        occ3d.read(tmp_path / 'labels.npz')  # training needs them


@pytest.mark.parametrize(
    'spoil',
    [
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b''),
        lambda path: path.write_bytes(b'\x00' * 100),
        lambda path: path.unlink(),
    ],
    ids=['cut off', 'empty', 'zeros', 'missing'],
)
@pytest.mark.parametrize(('name', 'read'), [('a.npy', surroundocc.read), ('a.npz', occ3d.read)])
def test_damaged_files_are_explained(
    tmp_path: Path, name: str, read: Callable[[Path], object], spoil: Callable[[Path], object]
) -> None:
    save(tmp_path / 'a.npy', [[1, 2, 3, 4]])
    np.savez(tmp_path / 'a.npz', **arrays())
    spoil(tmp_path / name)
    with pytest.raises(GdfusionError, match=f'{name} cannot be read: .'):
        read(tmp_path / name)


def test_one_kind_of_file_in_the_place_of_the_other(tmp_path: Path) -> None:
    save(tmp_path / 'a.npy', [[1, 2, 3, 4]]).rename(tmp_path / 'labels.npz')
    np.savez(tmp_path / 'b.npz', **arrays())
    (tmp_path / 'b.npz').rename(tmp_path / 'b.npy')
    with pytest.raises(GdfusionError, match=r'labels\.npz is not an \.npz file'):
        occ3d.read(tmp_path / 'labels.npz')
    with pytest.raises(GdfusionError, match=r'b\.npy is not an \.npy file'):
        surroundocc.read(tmp_path / 'b.npy')


def test_every_format_finds_its_files_and_gives_a_grid_where_it_lies(nuscenes_root: Path, tmp_path: Path) -> None:
    scene = nuscenes.load(nuscenes_root).scenes[0]
    sample = scene.samples[1]
    lidar = sample.data['LIDAR_TOP']
    expected = {
        'occ3d_nuscenes': (f'{scene.name}/{sample.token}/labels.npz', 'base_link'),
        'surroundocc_nuscenes': (f'samples/{lidar.path.name}.npy', 'LIDAR_TOP'),
        'openoccupancy_nuscenes': (f'scene_{scene.token}/occupancy/{lidar.token}.npy', 'LIDAR_TOP'),
    }
    for name, (file, frame_id) in expected.items():
        path = FORMATS[name].path(tmp_path, scene, sample)
        assert path == tmp_path / file
        path.parent.mkdir(parents=True)
        if path.suffix == '.npz':
            np.savez(path, **arrays())
        else:
            np.save(path, [[0, 0, 0, 4]])
        grid = FORMATS[name].read(path, sample.stamp)
        assert (grid.stamp, grid.frame_id, grid.model) == (sample.stamp, frame_id, 'ground truth')
        assert grid.label_set.name == name
        assert voxel_grid(grid) == grid.label_set.grid
        assert grid.labels.flags.f_contiguous
        assert (grid.confidence is None) != grid.label_set.camera_masked
