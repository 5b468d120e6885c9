"""Whatever labels, predictions and bags look like: scores, a counted skip, or one clear line."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.outputs import OCCUPANCY
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid

SCENE, TOKEN = 'scene-0001', 'sample-scene-0001-1'

WriteGrids = Callable[..., Path]

cases = settings(max_examples=25, derandomize=True, database=None)


def assert_ends_well(*arguments: object) -> str:
    """Run the command; the error, empty if there is none. Fails on anything but scores or one line."""
    errors = io.StringIO()
    with (
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()) as output,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('error', RuntimeWarning)  # numpy would print it
        code = main(['evaluate', *map(str, arguments), '--no-rays'])
    # The progress bar writes its own lines, with carriage returns.
    lines = [
        line
        for line in errors.getvalue().split('\n')
        if line and '\r' not in line and not line.startswith('reading the tables')
    ]
    if code == 0:
        assert not lines
        assert 'mIoU' in output.getvalue()
        return ''
    assert code == 1
    (line,) = lines
    assert line.startswith('gdfusion evaluate: ')
    assert len(line) > 40
    return line


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A way to damage a file."""
    kind = draw(st.sampled_from(['cut', 'flip', 'zero', 'junk']))
    place, share = draw(st.floats(0, 1)), draw(st.floats(0, 0.2))
    junk = draw(st.binary(min_size=1, max_size=40))

    def spoil(content: bytes) -> bytes:
        start = int(place * len(content))
        end = min(len(content), start + 1 + int(share * len(content)))
        middle = {
            'cut': b'',
            'flip': bytes(byte ^ 0xFF for byte in content[start : start + 1]) + content[start + 1 : end],
            'zero': bytes(end - start),
            'junk': junk,
        }[kind]
        return content[:start] + middle + (b'' if kind == 'cut' else content[end:])

    return spoil


arrays = st.one_of(
    st.just(np.array([None, {}], object)),
    npst.arrays(
        st.sampled_from([np.dtype(kind) for kind in ('i8', 'f4', 'u1', '?', 'c8', 'U3')]),
        npst.array_shapes(max_dims=4, max_side=5),
    ),
    st.integers(0, 255).map(lambda value: np.full(OCC3D_NUSCENES.grid.shape, value, np.uint8)),
    npst.arrays(
        np.float64,
        st.tuples(st.integers(0, 6), st.sampled_from([4, 7])),
        elements=st.one_of(st.integers(-2, 220).map(float), st.floats(width=64)),
    ),
    npst.arrays(np.int32, st.tuples(st.integers(0, 6), st.just(4)), elements=st.integers(0, 15)),
)


@pytest.fixture(scope='module')
def one_label(labelled_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic nuScenes' Occ3D folder with the labels of one key frame only."""
    folder = tmp_path_factory.mktemp('one') / 'gts'
    (folder / SCENE).mkdir(parents=True)
    shutil.copytree(labelled_root / 'gts' / SCENE / TOKEN, folder / SCENE / TOKEN)
    return folder


@pytest.fixture(scope='module')
def one_prediction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prediction of that key frame."""
    folder = tmp_path_factory.mktemp('npz')
    street = np.full(OCC3D_NUSCENES.grid.shape, OCC3D_NUSCENES.free, np.uint8)
    street[..., :8] = 11
    np.savez_compressed(folder / f'{TOKEN}.npz', street)
    return folder


@contextlib.contextmanager
def replaced(path: Path, content: bytes) -> Any:
    """The file with another content for as long as the block lasts."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def saved(save: Callable[..., None], *arrays: NDArray[Any], **named: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


@cases
@given(spoil=damage())
def test_damaged_occ3d_labels(
    labelled_root: Path, one_label: Path, one_prediction: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = one_label / SCENE / TOKEN / 'labels.npz'
    with replaced(path, spoil(path.read_bytes())):
        assert_ends_well('--npz', one_prediction, '--nuscenes', labelled_root, '--labels', one_label)


@cases
@given(named=st.dictionaries(st.sampled_from(['semantics', 'mask_camera', 'mask_lidar', 'x']), arrays))
def test_other_arrays_in_occ3d_labels(
    labelled_root: Path, one_label: Path, one_prediction: Path, named: dict[str, NDArray[Any]]
) -> None:
    with replaced(one_label / SCENE / TOKEN / 'labels.npz', saved(np.savez, **named)):
        assert_ends_well('--npz', one_prediction, '--nuscenes', labelled_root, '--labels', one_label)


@cases
@given(array=arrays, spoil=st.one_of(st.just(bytes), damage()))
def test_other_surroundocc_labels(
    labelled_root: Path, one_prediction: Path, array: NDArray[Any], spoil: Callable[[bytes], bytes]
) -> None:
    lidar = nuscenes.load(labelled_root, None, [SCENE]).scenes[0].samples[1].data['LIDAR_TOP'].path.name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'samples' / f'{lidar}.npy'
        path.parent.mkdir()
        path.write_bytes(spoil(saved(np.save, array)))
        assert_ends_well(
            '--npz',
            one_prediction,
            '--nuscenes',
            labelled_root,
            '--scenes',
            SCENE,
            '--label-set',
            'surroundocc_nuscenes',
            '--labels',
            folder,
        )


@cases
@given(array=arrays, name=st.sampled_from(['arr_0', 'arr_0', 'labels']), spoil=st.one_of(st.just(bytes), damage()))
def test_other_predictions(
    labelled_root: Path,
    one_label: Path,
    one_prediction: Path,
    array: NDArray[Any],
    name: str,
    spoil: Callable[[bytes], bytes],
) -> None:
    with replaced(one_prediction / f'{TOKEN}.npz', spoil(saved(np.savez, **{name: array}))):
        assert_ends_well('--npz', one_prediction, '--nuscenes', labelled_root, '--labels', one_label)


def small_grid(stamp: int) -> SemanticGrid:
    random = np.random.default_rng(stamp)
    return SemanticGrid(
        stamp,
        'base_link',
        (0.0, -1.0, 0.0),
        (0.5, 0.5, 0.5),
        np.asfortranarray(random.integers(0, 18, (3, 4, 2), np.uint8)),
        None,
        OCC3D_NUSCENES,
        'made',
        1,
        (),
        0,
    )


@pytest.fixture(scope='module')
def small_truth(write_grids: WriteGrids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with three small grids of labels."""
    return write_grids(
        tmp_path_factory.mktemp('small') / 'truth',
        [small_grid(10**9 * index) for index in (1, 2, 3)],
        '/ground_truth/occupancy',
    )


@cases
@given(spoil=damage(), name=st.sampled_from(['truth.mcap', 'truth.mcap', 'metadata.yaml']))
def test_damaged_bags(small_truth: Path, spoil: Callable[[bytes], bytes], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bag = shutil.copytree(small_truth, Path(folder) / 'truth')
        (bag / name).write_bytes(spoil((bag / name).read_bytes()))
        assert_ends_well(bag, '--truth', small_truth, '--topic', '/ground_truth/occupancy', '--mask', 'none')
        assert_ends_well(small_truth, '--truth', bag, '--topic', '/ground_truth/occupancy', '--mask', 'none')


numbers = st.one_of(st.floats(-2, 2), st.sampled_from([0.0, -0.5, float('nan'), float('inf'), 1e300, -1e300, 1e-300]))
vectors = st.fixed_dictionaries({}, optional=dict.fromkeys('xyz', numbers))
fields = st.fixed_dictionaries(
    {},
    optional={
        'label_set': st.sampled_from(['kitti', '', 'surroundocc_nuscenes']),
        'free_label': st.integers(0, 255),
        'size_x': st.sampled_from([0, 2, 3, 2**32 - 1]),
        'labels': st.binary(min_size=23, max_size=25),
        'confidence': st.binary(max_size=25),
        'origin': vectors,
        'voxel_size': vectors,
        'frame_id': st.sampled_from(['', 'LIDAR_TOP', 'odom']),
        'sec': st.integers(0, 2**31 - 1),
    },
)


@cases
@given(changes=fields, frame_of=st.sampled_from(['released', 'label', 'prediction']), of_truth=st.booleans())
def test_strange_grids(small_truth: Path, changes: dict[str, Any], frame_of: str, of_truth: bool) -> None:
    message = encode.occupancy(small_grid(2 * 10**9), RosbagsFactory())
    for name in ('origin', 'voxel_size'):
        for axis, value in changes.pop(name, {}).items():
            setattr(message.origin.position if name == 'origin' else message.voxel_size, axis, value)
    message.header.frame_id = changes.pop('frame_id', 'base_link')
    message.header.stamp.sec = changes.pop('sec', 2)
    for name, value in changes.items():
        setattr(message, name, np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value)
    with tempfile.TemporaryDirectory() as folder:
        with bag_writer(Path(folder) / 'strange') as bag:
            bag.add_topic('/ground_truth/occupancy', OCCUPANCY.type_name)
            bag.write('/ground_truth/occupancy', 2 * 10**9, message)
        first, second = (small_truth, Path(folder) / 'strange')[:: 1 if of_truth else -1]
        assert_ends_well(
            first, '--truth', second, '--topic', '/ground_truth/occupancy', '--mask', 'none', '--frame-of', frame_of
        )
