"""What ``gdfusion evaluate`` refuses: arguments, labels and bags that cannot be scored; each in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.model.zoo import ZOO
from gdfusion_ros.perception.labels import LABEL_SETS, UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid

pytestmark = pytest.mark.slow


Prediction = Callable[..., SemanticGrid]
Scores = Callable[..., dict[str, Any]]
WriteGrids = Callable[..., Path]
Tokens = Sequence[Sequence[str]]
AssertPerfect = Callable[..., None]


@pytest.fixture
def bare(prediction: Prediction, write_grids: WriteGrids, tokens: Tokens, tmp_path: Path) -> Path:
    """A bag with one prediction and nothing else."""
    return write_grids(tmp_path / 'bare', [prediction(tokens[0][0])])


def test_what_exists_is_not_overwritten(npz: Path, labelled_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ('--out', '--export'):
        assert main(['evaluate', '--npz', str(npz), '--nuscenes', str(labelled_root), option, str(npz)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f'gdfusion evaluate: {npz} exists already, not overwriting; remove it or choose another name'


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        ([], 'no predictions: give BAGs, --npz DIR, or a model'),
        (['--weights', 'w.pth'], 'no predictions'),
        (['{bag}', '--npz', '{npz}'], 'give the predictions once'),
        (['--npz', '{npz}'], 'no truth: give --nuscenes DIR or --truth BAG'),
        (['--npz', '{npz}', '--nuscenes', '{root}', '--truth', '{bag}'], 'give the truth once'),
        (['{bag}', '--label-set', 'occ3d_nuscenes'], 'are of a dataset: give --nuscenes DIR'),
        (['{bag}', '--released-protocol'], '--released-protocol says how a model runs'),
        (
            ['{bag}', '--export', 'x', '--out', './x'],
            'cannot be both the file of the scores and the folder of the predictions',
        ),
        (
            ['{bag}', '--export', 'x', '--frame-of', 'prediction'],
            '--export writes predictions in the voxels of the labels',
        ),
        (['{bag}'], 'has no messages on /occ/occupancy (gdfusion_ros/msg/SemanticOccupancyGrid); it has'),
        (['--npz', 'nowhere', '--truth', '{bag}'], 'no folder nowhere; expected one with <sample token>.npz'),
        (['--npz', '{npz}', '--truth', '{bare}'], "'gdfusion convert --labels' writes that"),
        (['--npz', '{npz}', '--truth', 'nowhere'], 'no bag nowhere'),
        (
            ['--npz', '{npz}', '--nuscenes', '{root}', '--label-set', 'kitti'],
            "unknown label set 'kitti'; there are occ3d_",
        ),
        (['--npz', '{npz}', '--nuscenes', '{root}', '--label-set', 'surroundocc_nuscenes'], 'needs --labels DIR'),
        (
            ['--npz', '{npz}', '--nuscenes', '{root}', '--labels', '{npz}'],
            'no labels of occ3d_nuscenes in {npz}; expected',
        ),
        (['--npz', '{npz}', '--nuscenes', '{root}', '--scenes', 'scene-0009'], 'no scene scene-0009'),
        (
            ['--npz', '{npz}', '--nuscenes', '{root}', '--scenes', 'scene-0002'],
            'none of the 3 predictions belongs to any of the 2 labelled key frames, 1600000120.000000000 to 16000001',
        ),
        (['{bag}', '--untrained', '--model', 'nope'], "unknown model 'nope'"),
    ],
)
def test_errors_are_one_line(
    truth_bags: list[Path],
    npz: Path,
    labelled_root: Path,
    bare: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    reason: str,
) -> None:
    places = {'bag': truth_bags[0], 'npz': npz, 'root': labelled_root, 'bare': bare}
    assert main(['evaluate', *(argument.format(**places) for argument in arguments)]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('gdfusion evaluate: ')
    assert reason.format(**places) in line


def test_a_model_of_another_label_set_is_not_run_in_vain(
    labelled_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ZOO['bevdetocc_gf_small']
    monkeypatch.setitem(
        ZOO, 'bevdetocc_gf_small', dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, label_set='waymo'))
    )
    model = ['--model', 'bevdetocc_gf_small', '--untrained', '--nuscenes', str(labelled_root)]
    for more, reason in (
        (
            ['--label-set', 'occ3d_nuscenes'],
            'the labels are of occ3d_nuscenes, but the model predicts classes of waymo; give labels',
        ),
        ([], "no labels of nuScenes are of the label set 'waymo'; there are occ3d_nuscenes, "),
    ):
        assert main(['evaluate', *model, *more]) == 1
        assert reason in capsys.readouterr().err.splitlines()[-1]


def test_labels_without_a_camera_mask_and_bags_without_poses_say_so(
    prediction: Prediction,
    write_grids: WriteGrids,
    tokens: Tokens,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    scores: Scores,
    assert_perfect: AssertPerfect,
) -> None:
    grids = [prediction(token) for token in tokens[0]]
    bag = write_grids(tmp_path / 'truth', grids, '/ground_truth/occupancy')
    arguments = [str(bag), '--topic', '/ground_truth/occupancy']
    assert main(['evaluate', *arguments]) == 1
    assert 'the labels have no camera mask; score all voxels with --mask none' in capsys.readouterr().err
    assert main(['evaluate', *arguments, '--mask', 'none']) == 1
    assert "RayIoU needs to know where the LiDAR was, but frame 'map' is in no transform" in capsys.readouterr().err
    assert_perfect(scores(*arguments, '--mask', 'none', '--no-rays'), rays=False)
    assert main(['evaluate', *arguments, '--mask', 'none', '--no-rays', '--export', str(tmp_path / 'out')]) == 1
    assert 'has no sample token to name its file after' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_camera_mask_that_leaves_nothing_to_score_is_an_error(
    npz: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (labelled_root / 'gts' / 'scene-0001').glob('*/labels.npz'):
        path = tmp_path / 'gts' / file.relative_to(labelled_root / 'gts')
        path.parent.mkdir(parents=True)
        arrays = dict(np.load(file))
        np.savez_compressed(path, **arrays | {'mask_camera': 0 * arrays['mask_camera']})
    assert (
        main(
            [
                'evaluate',
                '--npz',
                str(npz),
                '--nuscenes',
                str(labelled_root),
                '--labels',
                str(tmp_path / 'gts'),
                '--scenes',
                'scene-0001',
                '--no-rays',
                '--out',
                str(tmp_path / 'scores'),
            ]
        )
        == 1
    )
    assert capsys.readouterr().err.endswith(
        'gdfusion evaluate: nothing to score in 3 key frames: the camera mask of '
        'the labels leaves no voxel; score all with --mask none\n'
    )
    assert not (tmp_path / 'scores').exists()


def test_labels_without_masks_are_scored_where_none_is_asked_for(
    npz: Path,
    labelled_root: Path,
    tmp_path: Path,
    scores: Scores,
    capsys: pytest.CaptureFixture[str],
    assert_perfect: AssertPerfect,
) -> None:
    for file in (labelled_root / 'gts' / 'scene-0001').glob('*/labels.npz'):
        path = tmp_path / 'gts' / file.relative_to(labelled_root / 'gts')
        path.parent.mkdir(parents=True)
        np.savez_compressed(path, semantics=np.load(file)['semantics'])
    arguments = ('--npz', str(npz), '--nuscenes', str(labelled_root), '--labels', str(tmp_path / 'gts'), '--no-rays')
    assert_perfect(scores(*arguments, '--mask', 'none'), rays=False)
    assert main(['evaluate', *arguments]) == 1
    assert 'the labels have no camera mask; score all voxels with --mask none' in capsys.readouterr().err


def test_labels_that_know_nothing_are_an_error(
    prediction: Prediction, write_grids: WriteGrids, tokens: Tokens, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = prediction(tokens[0][0], lambda labels: np.full_like(labels, UNKNOWN))
    bag = write_grids(tmp_path / 'truth', [nothing], '/ground_truth/occupancy')
    assert main(['evaluate', str(bag), '--topic', '/ground_truth/occupancy', '--mask', 'none', '--no-rays']) == 1
    assert "nothing to score in 1 key frames: the labels are 'unknown' everywhere" in capsys.readouterr().err


def test_bags_with_labels_of_different_sets_are_not_mixed(
    prediction: Prediction, write_grids: WriteGrids, tokens: Tokens, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = []
    for index, label_set in enumerate(('occ3d_nuscenes', 'surroundocc_nuscenes')):
        grid = dataclasses.replace(prediction(tokens[index][0]), label_set=LABEL_SETS[label_set])
        bags.append(str(write_grids(tmp_path / label_set, [grid], '/ground_truth/occupancy')))
    assert main(['evaluate', *bags, '--topic', '/ground_truth/occupancy', '--mask', 'none', '--no-rays']) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'the labels are of surroundocc_nuscenes, those before of occ3d_nuscenes; evaluate them one by one' in line


@pytest.fixture
def renamed(truth_bags: list[Path], tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """``renamed(tokens)``: scene-0001 with its sample tokens called so."""

    def write(names: Sequence[str]) -> Path:
        left = iter(names)
        with bag_reader(truth_bags[0]) as bag, bag_writer(tmp_path / 'renamed', custom_data=bag.custom_data) as out:
            for topic in bag.topics.values():
                out.add_topic(topic.name, topic.type_name, topic.qos[0])
            for name, stamp, message in bag.messages(list(bag.topics)):
                if name == '/nuscenes/sample_token':
                    message.data = next(left)
                out.write(name, stamp, message)
        return tmp_path / 'renamed'

    return write


@pytest.mark.parametrize(
    ('names', 'said'),
    [
        (['a', '../../x', 'c'], "the sample token '../../x' on /nuscenes/sample_token at 1600000060.500000000"),
        (['/tmp/x', 'b', 'c'], "the sample token '/tmp/x'"),
        (['.', 'b', 'c'], "the sample token '.'"),
        (['a\x1b[2J', 'b', 'c'], "the sample token 'a\\x1b[2J'"),
        (['', 'b', 'c'], "the sample token ''"),
        (['same', 'same', 'c'], 'two key frames have the sample token same'),
    ],
)
def test_tokens_of_bags_that_name_no_files_of_their_own_are_not_exported(
    renamed: Callable[[Sequence[str]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: Sequence[str],
    said: str,
) -> None:
    bag = renamed(names)
    export = ['--export', str(tmp_path / 'in' / 'a' / 'folder')]
    assert main(['evaluate', str(bag), '--topic', '/ground_truth/occupancy', '--no-rays', *export]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('gdfusion evaluate: ')
    assert said in line
    assert line.isprintable()
    assert list(tmp_path.iterdir()) == [bag]


def test_as_many_files_as_are_said_are_exported(
    renamed: Callable[[Sequence[str]], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ['--export', str(tmp_path / 'out')]
    assert main(['evaluate', str(renamed('abc')), '--topic', '/ground_truth/occupancy', '--no-rays', *export]) == 0
    assert f'3 predictions in {tmp_path}/out' in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.npz', 'b.npz', 'c.npz']
