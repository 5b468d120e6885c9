"""Score predicted grids against ground truth: mIoU, mIoU_D, IoU, RayIoU, and every class.

  gdfusion evaluate --nuscenes held_out                           run the default model over a dataset
  gdfusion evaluate bags/* --weights w.pth                        run a model over bags that have the labels too
  gdfusion evaluate grids --truth bags/scene-0103                 grids of 'gdfusion replay' or of the live node
  gdfusion evaluate grids --nuscenes /data/nuscenes               the same against the labels of the dataset (gts/)
  gdfusion evaluate --npz results --nuscenes /data/nuscenes --scenes val --format json --out scores.json
  gdfusion evaluate --nuscenes /data/nuscenes --scenes val --weights w.pth --released-protocol --export results

PREDICTIONS are, in the order of the examples: grids that a model makes of the dataset's images, or of bags with
images (--weights, --untrained, --model and so on); the grids on --topic of bags; files <sample token>.npz of the Occ3D
benchmark, or <scene>/<sample token>.npz as the authors' code writes them. --export writes the former.

TRUTH is in the dataset (--nuscenes; the labels of the model's label set, or Occ3D's gts/, unless --labels and
--label-set say otherwise), in other bags (--truth) or in the input bags themselves, on /ground_truth/occupancy;
'gdfusion convert --labels' writes it.

Predictions are matched with key frames by sample token, or by the nearest stamp within 0.1 s; what has no partner is
counted and said. All scenes go into one confusion matrix. Where a prediction says 'unknown' it counts as free; where
the labels do, nothing counts, or with '--ignored free' free space does: GDFusion's release scores SurroundOcc's labels
so, and --released-protocol does. A grid with other voxels than the labels' is sampled at their centres.

mIoU is the mean over the classes but free, mIoU_D over those that move, IoU that of occupied against free. RayIoU
compares what rays from the LiDAR's places in the scene meet first, without camera mask; it is the mean at 1, 2 and 4 m.

--mask predicted: only voxels that the cameras saw count, as rays through the predicted grid tell it, which needs no
labels; where the labels have a mask, it is said how far the two agree. A model marks what was not seen by itself,
grids in bags must be of 'unobserved: unknown', or on /occ/observed. For RayIoU, what was not seen is free.
JSON has scores from 0 to 1, text and Markdown in percent.

--frame-of: a prediction is in the vehicle's frame at the stamp of CAM_FRONT, the labels at that of LIDAR_TOP, up to
50 ms and half a voxel later. 'released', the default, takes both for the same frame, as the published numbers do;
'label' moves the prediction to the labels' frame by the vehicle's poses, 'prediction' moves the labels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import (
    add_model_arguments,
    add_pipeline_arguments,
    add_version_argument,
    model_settings,
    pipeline_settings,
    progress,
    tell,
    topic_settings,
)
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import ModelSettings, PipelineSettings, TopicSettings, records

if TYPE_CHECKING:
    from gdfusion_ros.bags.grid_stream import ReplayListener
    from gdfusion_ros.datasets.nuscenes import Dataset
    from gdfusion_ros.evaluation.frames import Truth
    from gdfusion_ros.evaluation.predictions import Predictions
    from gdfusion_ros.evaluation.protocol import Ignored

HELP = 'score grids against ground truth'

LABEL_SET = 'occ3d_nuscenes'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('bags', type=Path, nargs='*', metavar='BAG', help='bags with predictions, or with images')
    parser.add_argument('--topic', default='/occ/occupancy', help='topic of predictions in bags; default: %(default)s')
    parser.add_argument(
        '--npz',
        type=Path,
        metavar='DIR',
        help='folder with predictions as <sample token>.npz, also in folders of scenes',
    )
    truth = parser.add_argument_group('truth')
    truth.add_argument('--nuscenes', type=Path, metavar='DIR', help='folder of nuScenes, whose tables are read')
    add_version_argument(truth)
    truth.add_argument(
        '--scenes',
        nargs='+',
        default=(),
        metavar='SCENE',
        help='scene names, ranges scene-0001..scene-0010, splits; default: those that the bags are of',
    )
    truth.add_argument(
        '--label-set',
        metavar='NAME',
        help=f'which labels of nuScenes: {LABEL_SET}, '
        f'surroundocc_nuscenes or openoccupancy_nuscenes; default: that of the model, {LABEL_SET} without one',
    )
    truth.add_argument(
        '--labels',
        type=Path,
        metavar='DIR',
        help="folder of the labels: Occ3D's, SurroundOcc's with samples/, OpenOccupancy's with "
        'scene_<token>/; default: gts, gts_surroundocc or nuScenes-Occupancy-v0.1 in nuScenes',
    )
    truth.add_argument('--truth', type=Path, nargs='+', metavar='BAG', help='bags with /ground_truth/occupancy')
    scores = parser.add_argument_group('scores')
    scores.add_argument(
        '--mask',
        choices=('camera', 'predicted', 'none'),
        help='camera: only voxels that the cameras can see count; predicted: those that they saw by '
        "the prediction (see above); default: camera for Occ3D's labels",
    )
    scores.add_argument(
        '--ignored', choices=('drop', 'free'), help='voxels that the labels say to ignore (see above); default: drop'
    )
    scores.add_argument(
        '--frame-of',
        choices=('released', 'label', 'prediction'),
        default='released',
        help='whose frame the comparison is made in (see above); default: %(default)s',
    )
    scores.add_argument('--no-rays', action='store_true', help='leave out RayIoU')
    scores.add_argument('--format', choices=('text', 'markdown', 'json'), default='text', help='default: %(default)s')
    scores.add_argument('--out', type=Path, metavar='FILE', help='write the scores there instead of printing them')
    scores.add_argument(
        '--export',
        type=Path,
        metavar='DIR',
        help='write the predictions as <sample token>.npz, in the voxels of the labels',
    )
    parser.add_argument(
        '--released-protocol',
        action='store_true',
        help="run the model with ego poses as in the authors' evaluation (see 'gdfusion replay')",
    )
    add_model_arguments(parser)
    add_pipeline_arguments(parser)


@dataclass(frozen=True)
class _Inputs:
    """What the command line asks for, checked as far as nothing has been read."""

    args: argparse.Namespace
    pipeline: PipelineSettings
    topics: TopicSettings
    model: ModelSettings | None


def run(args: argparse.Namespace) -> int:
    """Evaluate; print or write the scores."""
    from gdfusion_ros.bags.grid_stream import ReplayListener
    from gdfusion_ros.evaluation.evaluator import evaluate
    from gdfusion_ros.evaluation.export import npz_folder
    from gdfusion_ros.evaluation.protocol import ScoringProtocol, usual_mask
    from gdfusion_ros.files import refuse_existing, written_whole

    inputs = _inputs(args)
    for path in filter(None, (args.out, args.export)):
        refuse_existing(path)
    dataset = _dataset(args)
    truth = _truth(inputs, dataset)
    _require_labels_of_model(inputs, truth)
    protocol = ScoringProtocol(
        args.mask or usual_mask(truth.label_set), args.frame_of, not args.no_rays, args.ignored or _ignored(args, truth)
    )
    with ExitStack() as stack:
        bar = stack.enter_context(progress(len(truth.frames), 'frame'))
        predictions = _predictions(inputs, dataset, truth, ReplayListener(warning=tell))
        export = stack.enter_context(npz_folder(args.export)) if args.export else lambda *_: None
        report = evaluate(truth, predictions, protocol, lambda *pair: (export(*pair), bar.update()))
    text = report.render(args.format)
    if args.out:
        with written_whole(args.out, new=True) as draft:
            draft.write_text(text + '\n', 'utf-8')
    print(f'{report.tally.scored} key frames scored: {args.out}' if args.out else text)
    if args.export:
        print(f'{report.tally.scored} predictions in {args.export}', file=sys.stderr)
    return 0


def _inputs(args: argparse.Namespace) -> _Inputs:
    """Check what contradicts itself.

    Raises:
        GdfusionError: says what.
    """
    wants_model = any(getattr(args, name) is not None for name in records(ModelSettings)) or not (args.npz or args.bags)
    if args.npz and (args.bags or wants_model):
        raise GdfusionError('give the predictions once: BAGs, --npz or a model; bags with the truth go to --truth')
    if not (args.npz or args.bags or (wants_model and args.nuscenes)):
        raise GdfusionError('no predictions: give BAGs, --npz DIR, or a model (--weights FILE) with BAGs or --nuscenes')
    if args.nuscenes and args.truth:
        raise GdfusionError('give the truth once: --nuscenes or --truth')
    if args.npz and not (args.nuscenes or args.truth):
        raise GdfusionError('no truth: give --nuscenes DIR or --truth BAG')
    if (args.labels or args.label_set or args.scenes or args.version) and not args.nuscenes:
        raise GdfusionError('--labels, --label-set, --scenes and --version are of a dataset: give --nuscenes DIR')
    if args.released_protocol and not wants_model:
        raise GdfusionError('--released-protocol says how a model runs: give one (--weights FILE)')
    if args.export and args.frame_of == 'prediction':
        raise GdfusionError('--export writes predictions in the voxels of the labels; --frame-of prediction has others')
    if args.export and args.out and args.export.absolute() == args.out.absolute():
        raise GdfusionError(f'{args.out} cannot be both the file of the scores and the folder of the predictions')
    pipeline = pipeline_settings(args)
    if args.mask == 'predicted':
        pipeline = replace(pipeline, unobserved='unknown')
    return _Inputs(args, pipeline, topic_settings(args), model_settings(args) if wants_model else None)


def _dataset(args: argparse.Namespace) -> Dataset | None:
    """The scenes that are asked for, else those that the input bags are of, else all."""
    from gdfusion_ros.bags.reader import bag_reader
    from gdfusion_ros.datasets import nuscenes

    if args.nuscenes is None:
        return None
    scenes = list(args.scenes)
    if not scenes:
        for path in args.bags:
            with bag_reader(path) as bag:
                scenes.append(bag.custom_data.get('nuscenes.scene', ''))
    print(f'reading the tables of {args.nuscenes}', file=sys.stderr, flush=True)
    return nuscenes.load(args.nuscenes, args.version, scenes if all(scenes) else ())


def _ignored(args: argparse.Namespace, truth: Truth) -> Ignored:
    return 'free' if args.released_protocol and truth.label_set.ignored_is_free else 'drop'


def _label_set_of(model: ModelSettings) -> str:
    from gdfusion_ros.model.runtime.backends import specification_of

    return specification_of(model).label_set


def _require_labels_of_model(inputs: _Inputs, truth: Truth) -> None:
    """Refuse to run a model for nothing.

    Raises:
        GdfusionError: it predicts other classes than the labels have.
    """
    if inputs.model is None or (predicted := _label_set_of(inputs.model)) == truth.label_set.name:
        return
    raise GdfusionError(
        f'the labels are of {truth.label_set.name}, but the model predicts classes of {predicted}; '
        'give labels of the same set (--label-set, --labels, --truth), or another model'
    )


def _truth(inputs: _Inputs, dataset: Dataset | None) -> Truth:
    from gdfusion_ros.datasets.labels import FORMATS
    from gdfusion_ros.evaluation.truth import truth_of_bags, truth_of_dataset
    from gdfusion_ros.perception.labels import LABEL_SETS

    args = inputs.args
    if dataset is None:
        return truth_of_bags(args.truth or args.bags, inputs.pipeline, inputs.topics)
    name = args.label_set or (LABEL_SET if inputs.model is None else _label_set_of(inputs.model))
    if name not in FORMATS:
        fault = 'no labels of nuScenes are of the' if name in LABEL_SETS else 'unknown'
        raise GdfusionError(f"{fault} label set '{name}'; there are {', '.join(FORMATS)}")
    folder = args.labels or args.nuscenes / FORMATS[name].folder
    if not args.labels and not folder.is_dir():
        raise GdfusionError(f'label set {name} needs --labels DIR, the folder of its labels: there is no {folder}')
    return truth_of_dataset(dataset, FORMATS[name], folder, inputs.pipeline)


def _predictions(inputs: _Inputs, dataset: Dataset | None, truth: Truth, listener: ReplayListener) -> Predictions:
    from gdfusion_ros.datasets.plan import Content
    from gdfusion_ros.evaluation.predictions import BagPredictions, ModelPredictions, NpzPredictions, converted
    from gdfusion_ros.model.runtime.backends import load_backend
    from gdfusion_ros.model.runtime.process import prepare_process

    args = inputs.args
    if args.npz:
        return NpzPredictions(args.npz, truth.label_set)
    if inputs.model is None:
        return BagPredictions(args.bags, args.topic)
    prepare_process()
    network = load_backend(inputs.model, scores=inputs.pipeline.confidence)
    content = Content(lidar=network.spec.lidar_depth)
    bags: Iterable[Path] = args.bags or (() if dataset is None else converted(dataset, content))
    return ModelPredictions(
        bags, network, inputs.pipeline, inputs.topics, 'released' if args.released_protocol else 'live', listener
    )
