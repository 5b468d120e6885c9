"""``gdfusion evaluate``, as a user runs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.datasets import openoccupancy, surroundocc
from gdfusion_ros.datasets.nuscenes import Dataset
from gdfusion_ros.datasets.occ3d import Occ3DLabels
from gdfusion_ros.evaluation.alignment import align
from gdfusion_ros.evaluation.truth import truth_of_bags
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, bevdetocc
from gdfusion_ros.model.zoo import ZOO, Entry
from gdfusion_ros.perception.labels import LABEL_SETS, OCC3D_NUSCENES, UNKNOWN
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings

pytestmark = pytest.mark.slow

FREE = OCC3D_NUSCENES.free
TINY = dataclasses.replace(
    BEVDETOCC_GF,
    name='tiny',
    image_size=(64, 176),
    grid=VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(3.2, 3.2, 1.6), shape=(25, 25, 4)),
)

Labels = NDArray[np.uint8]
Made = dict[str, Occ3DLabels]
Prediction = Callable[..., SemanticGrid]
Scores = Callable[..., dict[str, Any]]
WriteGrids = Callable[..., Path]
Tokens = Sequence[Sequence[str]]
AssertPerfect = Callable[..., None]


def test_truth_itself_is_perfect_from_files(
    scores: Scores, npz: Path, labelled_root: Path, truth_bags: list[Path], assert_perfect: AssertPerfect
) -> None:
    of_files = scores('--npz', npz, '--nuscenes', labelled_root, '--scenes', 'scene-0001')
    assert_perfect(of_files)
    assert of_files['key_frames'] == {'scored': 3, 'without_prediction': 0, 'without_labels': 0}
    assert of_files == scores('--npz', npz, '--truth', truth_bags[0])


def test_truth_itself_is_perfect_from_bags(
    scores: Scores,
    prediction: Prediction,
    write_grids: WriteGrids,
    labelled_root: Path,
    truth_bags: list[Path],
    tokens: Tokens,
    tmp_path: Path,
    assert_perfect: AssertPerfect,
) -> None:
    bag = write_grids(tmp_path / 'grids', [prediction(token) for token in tokens[0]])
    assert_perfect(scores(bag, '--truth', truth_bags[0]))
    both = scores(bag, '--nuscenes', labelled_root)
    assert_perfect(both)
    assert both['key_frames'] == {'scored': 3, 'without_prediction': 2, 'without_labels': 1}
    assert_perfect(scores(truth_bags[0], '--topic', '/ground_truth/occupancy', '--mask', 'none'))


def test_the_scene_that_a_bag_is_of_is_read_alone(
    scores: Scores, prediction: Prediction, write_grids: WriteGrids, labelled_root: Path, tokens: Tokens, tmp_path: Path
) -> None:
    bag = write_grids(
        tmp_path / 'grids', [prediction(token) for token in tokens[0]], custom_data={'nuscenes.scene': 'scene-0001'}
    )
    result = scores(bag, '--nuscenes', labelled_root, '--no-rays')
    assert result['key_frames'] == {'scored': 3, 'without_prediction': 0, 'without_labels': 0}
    assert 'RayIoU' not in result
    assert set(result['classes']['car']) == {'IoU', 'truth', 'predicted'}


@pytest.mark.parametrize(
    ('label_set', 'read'), [('surroundocc_nuscenes', surroundocc.read), ('openoccupancy_nuscenes', openoccupancy.read)]
)
def test_truth_itself_is_perfect_in_the_frame_of_the_lidar(
    scores: Scores,
    labelled_root: Path,
    dataset: Dataset,
    tmp_path: Path,
    label_set: str,
    read: Callable[[Path], Labels],
    assert_perfect: AssertPerfect,
) -> None:
    scene = dataset.scenes[0]
    sample = scene.samples[1]
    lidar, grid = sample.data['LIDAR_TOP'], LABEL_SETS[label_set].grid
    path = {
        'surroundocc_nuscenes': tmp_path / 'labels' / 'samples' / f'{lidar.path.name}.npy',
        'openoccupancy_nuscenes': tmp_path / 'labels' / f'scene_{scene.token}' / 'occupancy' / f'{lidar.token}.npy',
    }[label_set]
    path.parent.mkdir(parents=True)
    # Blocks of each class, and one that is to be ignored, on both sides of the LiDAR.
    random = np.random.default_rng(0)
    block = np.stack(np.meshgrid(range(9), range(9), range(9), indexing='ij'), -1).reshape(-1, 3)
    corners = random.integers(0, np.array(grid.shape) - 9, (17, 3))
    blocks = [np.hstack([block + corner, np.full((729, 1), index)]) for index, corner in enumerate(corners)]
    rows = np.concatenate(blocks)
    rows = rows[np.unique(rows[:, :3], axis=0, return_index=True)[1]]
    np.save(path, rows[:, [2, 1, 0, 3]] if label_set.startswith('open') else rows)
    labels = read(path)
    (tmp_path / 'npz').mkdir()
    guess = np.where(labels == UNKNOWN, np.uint8(7), labels)  # what is to be ignored may be anything
    np.savez_compressed(tmp_path / 'npz' / f'{sample.token}.npz', guess)
    arguments = (
        '--npz',
        tmp_path / 'npz',
        '--nuscenes',
        labelled_root,
        '--label-set',
        label_set,
        '--labels',
        tmp_path / 'labels',
    )
    result = scores(*arguments)
    assert_perfect(result)
    assert result['classes']['pedestrian']['predicted'] == (labels == 7).sum()
    assert result['mask'] == 'none'
    assert result['voxels'] == (labels != UNKNOWN).sum()
    for frame_of in ('label', 'prediction'):
        assert scores(*arguments, '--frame-of', frame_of, '--no-rays')['mIoU'] == 1.0
    as_free = scores(*arguments, '--ignored', 'free', '--no-rays')
    assert as_free['voxels'] == labels.size
    assert as_free['classes']['pedestrian']['predicted'] == (guess == 7).sum()
    assert as_free['mIoU'] < 1.0


def test_what_the_cameras_saw_by_the_prediction_is_a_mask(
    scores: Scores,
    prediction: Prediction,
    write_grids: WriteGrids,
    labelled_root: Path,
    tokens: Tokens,
    labels: Made,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (token,) = tokens[0][:1]
    grid, mask = prediction(token), labels[token].mask_camera
    saying_all = write_grids(tmp_path / 'all', [grid])
    seen = mask.copy()
    seen[150:] = False
    unseen = dataclasses.replace(grid, labels=np.asfortranarray(np.where(seen, grid.labels, np.uint8(UNKNOWN))))
    bag = write_grids(tmp_path / 'grids', [unseen])
    arguments = '--nuscenes', labelled_root, '--scenes', 'scene-0001', '--no-rays', '--mask', 'predicted'
    result = scores(bag, *arguments)
    assert (result['mask'], result['voxels']) == ('predicted', int(seen.sum()))
    assert result['visibility'] == {
        'agreement': pytest.approx((seen == mask).mean()),
        'IoU': pytest.approx(seen.sum() / mask.sum()),
    }
    moved = scores(bag, *arguments, '--frame-of', 'label')
    assert 0.9 < moved['voxels'] / result['voxels'] < 1.1
    assert main(['evaluate', str(saying_all), *map(str, arguments)]) == 1
    assert "make it with 'unobserved: unknown'" in capsys.readouterr().err


def swap_classes(labels: Labels) -> Labels:
    labels[60:140] = np.select([labels == 4, labels == 10], [10, 4], labels)[60:140]
    return labels


def remove_voxels(labels: Labels) -> Labels:
    labels[np.random.default_rng(1).random(labels.shape) < 0.3] = FREE
    return labels


def forget_voxels(labels: Labels) -> Labels:
    labels[::3] = UNKNOWN
    return labels


def shift(labels: Labels) -> Labels:
    return np.roll(labels, (2, -1, 1), axis=(0, 1, 2))


@pytest.mark.parametrize(
    ('change', 'mask'),
    [
        (swap_classes, 'camera'),
        (remove_voxels, 'camera'),
        (remove_voxels, 'none'),
        (forget_voxels, 'camera'),
        (shift, 'camera'),
    ],
)
def test_perturbed_truth_scores_what_scikit_learn_finds(
    scores: Scores,
    labels: Made,
    prediction: Prediction,
    write_grids: WriteGrids,
    truth_bags: list[Path],
    tokens: Tokens,
    tmp_path: Path,
    change: Callable[[Labels], Labels],
    mask: str,
) -> None:
    chosen = [*tokens[0], *tokens[1][:2]]
    bags = [
        write_grids(tmp_path / f'grids-{index}', [prediction(token, change) for token in part])
        for index, part in enumerate((chosen[:3], chosen[3:]))
    ]
    result = scores(*bags, '--truth', *truth_bags, '--mask', mask, '--no-rays')
    masks = [labels[token].mask_camera | (mask == 'none') for token in chosen]
    truth = np.concatenate([labels[token].semantics[seen] for token, seen in zip(chosen, masks, strict=True)])
    predicted = np.concatenate(
        [change(labels[token].semantics.copy())[seen] for token, seen in zip(chosen, masks, strict=True)]
    )
    predicted[predicted == UNKNOWN] = FREE
    each = jaccard_score(truth, predicted, labels=range(17), average=None)
    assert [row['IoU'] for row in result['classes'].values()] == pytest.approx(each.tolist())
    assert result['mIoU'] == pytest.approx(each.mean())
    assert result['mIoU_D'] == pytest.approx(each[[2, 3, 4, 5, 6, 7, 9, 10]].mean())
    assert result['IoU'] == pytest.approx(jaccard_score(truth != FREE, predicted != FREE))
    assert result['voxels'] == len(truth)
    assert result['mIoU'] < 0.95
    assert result['classes']['car'] == {
        'IoU': pytest.approx(each[4]),
        'truth': (truth == 4).sum(),
        'predicted': (predicted == 4).sum(),
    }


def test_frame_of_moves_one_of_the_grids(
    scores: Scores,
    prediction: Prediction,
    write_grids: WriteGrids,
    truth_bags: list[Path],
    dataset: Dataset,
    tmp_path: Path,
) -> None:
    truth = truth_of_bags(truth_bags[:1], PipelineSettings(), TopicSettings())
    frames = truth.frames[1:]
    grids = []
    for frame in frames:
        # 90 ms before the labels the vehicle was more than a voxel behind: a world that stands still has moved.
        early = dataclasses.replace(prediction(frame.token), stamp=frame.stamp - 90_000_000)
        seen, _ = align(frame.read(), early, frame.drive, 'prediction')
        grids.append(seen)
    bag = write_grids(tmp_path / 'grids', grids)
    results = {
        frame_of: scores(bag, '--truth', truth_bags[0], '--frame-of', frame_of, '--no-rays')
        for frame_of in ('released', 'label', 'prediction')
    }
    assert {name: result['frame_of'] for name, result in results.items()} == {name: name for name in results}
    assert results['released']['mIoU'] < 0.7
    assert results['label']['mIoU'] > 0.9
    assert results['prediction']['mIoU'] == 1.0
    assert scores(bag, '--truth', truth_bags[0], '--no-rays') == results['released']


def test_a_model_runs_over_bags_and_over_the_dataset_alike(
    scores: Scores, truth_bags: list[Path], labelled_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, 'tiny', Entry(TINY, bevdetocc))
    model = ('--untrained', '--model', 'tiny', '--device', 'cpu')
    of_bag = scores(truth_bags[0], *model, '--export', tmp_path / 'results')
    assert of_bag['models'] == ['tiny (untrained)']
    assert of_bag['key_frames']['scored'] == 3
    assert 0 < of_bag['IoU'] < 0.5
    assert of_bag == scores('--nuscenes', labelled_root, '--scenes', 'scene-0001', *model)
    again = scores('--npz', tmp_path / 'results', '--truth', truth_bags[0])
    assert again.pop('models') == [str(tmp_path / 'results')]
    del of_bag['models']
    assert again == of_bag
    for path in (tmp_path / 'results').iterdir():
        with np.load(path) as arrays:
            assert {name: (array.dtype.name, array.shape) for name, array in arrays.items()} == {
                'arr_0': ('uint8', (200, 200, 16))
            }


def test_text_and_markdown_say_what_was_scored(
    npz: Path, labelled_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (npz / 'of-another.npz').touch()
    arguments = ['evaluate', '--npz', str(npz), '--nuscenes', str(labelled_root), '--no-rays']
    assert main(arguments) == 0
    text = [' '.join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        f'predictions of {npz}',
        'labels occ3d_nuscenes',
        'frames as released: nothing is moved',
        'key frames scored 3',
        'key frames without prediction 2',
        'key frames without labels 1',
        'predictions without labels 1',
        'mIoU 100.00',
        'mIoU_D 100.00',
        'IoU 100.00',
    ):
        assert line in text
    assert len([line for line in text if line.startswith('traffic_cone 100.00')]) == 1
    assert main([*arguments, '--format', 'markdown', '--out', str(tmp_path / 'scores.md')]) == 0
    assert capsys.readouterr().out == f'3 key frames scored: {tmp_path}/scores.md\n'
    markdown = (tmp_path / 'scores.md').read_text()
    assert '- key frames without prediction: 2\n' in markdown
    assert '| mIoU_D  | 100.00 |' in markdown
    assert '| class ' in markdown


def test_transforms_may_be_on_other_topics(
    scores: Scores,
    truth_bags: list[Path],
    npz: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = tmp_path / 'robot'
    with bag_reader(truth_bags[0]) as reader, bag_writer(bag, custom_data=reader.custom_data) as writer:
        names = {name: f'/robot1{name}' if name.startswith('/tf') else name for name in reader.topics}
        for topic in reader.topics.values():
            writer.add_topic(names[topic.name], topic.type_name)
        for message in reader.raw_messages():
            writer.write_serialized(names[message.topic], message.stamp, message.data)
    elsewhere = ('--set', 'tf_topic=/robot1/tf', '--set', 'tf_static_topic=/robot1/tf_static')
    files = ('--npz', str(npz), '--frame-of', 'label', '--no-rays')
    assert scores(*files, '--truth', bag, *elsewhere) == scores(*files, '--truth', truth_bags[0])
    assert main(['evaluate', *files, '--truth', str(bag)]) == 1
    assert "frame 'map' is in no transform" in capsys.readouterr().err
    monkeypatch.setitem(ZOO, 'tiny', Entry(TINY, bevdetocc))
    model = ('--untrained', '--model', 'tiny', '--device', 'cpu', '--no-rays')
    assert scores(bag, *model, *elsewhere)['key_frames']['scored'] == 3
    assert main(['evaluate', str(bag), *model]) == 1
    assert 'has no messages on /tf (' in capsys.readouterr().err


@pytest.mark.parametrize('layout', ['scene-0001/{}.npz', 'scene-0001/{}/pred.npz', '{}/pred.npz'])
def test_predictions_in_the_layouts_of_others(
    scores: Scores, npz: Path, labelled_root: Path, tmp_path: Path, layout: str, assert_perfect: AssertPerfect
) -> None:
    for file in npz.glob('*.npz'):
        path = tmp_path / 'other' / layout.format(file.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = np.load(file)['arr_0']
        if path.name == 'pred.npz':
            np.savez_compressed(path, pred=labels, gt=0 * labels)
        else:
            np.savez_compressed(path, labels)
    assert_perfect(scores('--npz', tmp_path / 'other', '--nuscenes', labelled_root, '--no-rays'), rays=False)
