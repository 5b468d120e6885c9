"""Train a network of the zoo on data in nuScenes' format, real or made by 'gdfusion synthesize'.

  gdfusion synthesize data/train --scenes 100 --seed 1
  gdfusion synthesize data/val --scenes 5 --seed 2
  gdfusion train config/train_nano_images.yaml --data data/train --out runs/images
  gdfusion train config/train_nano_images.yaml --data data/train --out runs/images --resume
  gdfusion train config/train_nano.yaml --data data/train --validation data/val --out runs/whole \\
      --set initial_weights=runs/images/weights.safetensors --set steps=1000
  torchrun --nproc-per-node 2 -m gdfusion_ros train config/train_nano_images.yaml --data data/train --out runs/two

Every slot walks through its own sequence of key frames; the memory is carried on from frame to frame. Labels are
Occ3D's (gts/); key frames without them are learned from by LiDAR depth alone. More on all of it: docs/training.md.

As the files in config/ stand, a training takes hours on two cores; with '--set steps=500' it is a trial of minutes.

Writes into OUT: settings.yaml, checkpoint.pt (to go on from), weights.safetensors (the averaged weights, for --weights
of the other verbs), log/ (TensorBoard), curves.png. Ctrl-C ends the step, writes the checkpoint and stops; --resume
goes on as if nothing had happened.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdfusion_ros.cli.common import (
    add_device_argument,
    add_set_argument,
    add_version_argument,
    assignment,
    counted,
    progress,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm

    from gdfusion_ros.datasets.nuscenes import Dataset
    from gdfusion_ros.evaluation.confusion import ConfusionMatrix
    from gdfusion_ros.training.run import RunFolder

HELP = 'train or fine-tune a network'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('config', type=Path, help='YAML file of training settings, e.g. config/train_nano.yaml')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='DIR', help='dataset folders')
    parser.add_argument(
        '--scenes',
        nargs='*',
        default=(),
        metavar='SCENE',
        help='scenes of the data: names, ranges, splits. Default: all.',
    )
    parser.add_argument(
        '--validation',
        type=Path,
        nargs='*',
        default=[],
        metavar='DIR',
        help='dataset folders to validate on; their scenes are not learned from',
    )
    parser.add_argument('--validation-scenes', nargs='*', default=(), metavar='SCENE', help='scenes of these')
    add_version_argument(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of the run')
    parser.add_argument('--resume', action='store_true', help='go on with the run in OUT')
    add_set_argument(parser, 'one setting of the file, e.g. --set steps=1000; may be repeated')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train, then print what came of it."""
    from gdfusion_ros.model.runtime.device import select_device
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.model.zoo import specification
    from gdfusion_ros.training import settings as training_settings
    from gdfusion_ros.training.examples import labelled
    from gdfusion_ros.training.processes import joined
    from gdfusion_ros.training.run import Data, Run, RunFolder
    from gdfusion_ros.training.trainer import starting_network

    prepare_process()
    settings = training_settings.read(args.config, dict(assignment(text) for text in args.overrides))
    folder = RunFolder(args.out)
    data = Data(
        datasets(args.data, args.version, args.scenes), datasets(args.validation, args.version, args.validation_scenes)
    )
    with joined(select_device(args.device)) as (processes, device):
        if processes.first:
            _require(folder, resume=args.resume)
            print(training_settings.text(settings))
            frames = sum(len(scene.samples) for dataset in data.training for scene in dataset.scenes)
            scenes = sum(len(dataset.scenes) for dataset in data.training)
            labels = labelled(data.training, specification(settings.model))
            print(
                f'{counted(frames, "key frame")} in {counted(scenes, "scene")}, '
                f'{labels} labelled; {processes.count} x {counted(settings.slots, "slot")}, {device}'
            )
        processes.wait()
        network = starting_network(settings, device)
        training = Run(network, settings, data, folder, processes)
        with progress(settings.steps, 'step', disable=not processes.first) as bar:
            try:
                result = training.train(Display(bar, training.done))
            except KeyboardInterrupt:
                done = f'after {counted(training.done, "step")}; with --resume the same command goes on'
                raise KeyboardInterrupt(done) from None
        if processes.first:
            print(f'{counted(result.steps, "step")}; {result.waiting:.1%} of the time was spent waiting for data')
            print(f'weights in {folder.weights}, curves in {folder.curves}')
    return 0


def datasets(folders: Sequence[Path], version: str | None, scenes: Sequence[str] = ()) -> list[Dataset]:
    """The scenes of dataset folders."""
    from gdfusion_ros.datasets import nuscenes

    return [nuscenes.load(folder, version, scenes) for folder in folders]


def _require(folder: RunFolder, *, resume: bool) -> None:
    """Make sure that a new run overwrites nothing, or that there is a run to go on with."""
    from gdfusion_ros.errors import GdfusionError
    from gdfusion_ros.files import refuse_existing

    if not resume:
        refuse_existing(folder.path)
    elif not folder.checkpoint.is_file():
        raise GdfusionError(f'{folder.path} has no run to go on with; leave out --resume to begin one')


class Display:
    """Shows loss and validations beside the progress bar."""

    def __init__(self, bar: tqdm[Any], done: int) -> None:
        """``done`` steps were taken before."""
        self._bar = bar
        bar.update(done)

    def step(self, loss: float | None) -> None:
        """See TrainingListener."""
        self._bar.update()
        if loss is not None:
            self._bar.set_postfix(loss=f'{loss:.3f}', refresh=False)

    def validating(self, frames: int, of: int) -> None:
        """See TrainingListener."""
        self._bar.set_postfix(validated=f'{frames}/{of}')

    def validated(self, step: int, matrix: ConfusionMatrix) -> None:
        """See TrainingListener."""
        self._bar.write(f'step {step}: mIoU {matrix.miou:.2%}, mIoU_D {matrix.miou_dynamic:.2%}, IoU {matrix.iou:.2%}')
