"""Measure what each temporal cue is worth: train the same network with other cues, same data, seed and steps.

  gdfusion ablate config/train_nano.yaml --data data/train --validation data/val --hard data/hard --out runs/cues \\
      --more-seeds 1
  gdfusion ablate config/train_nano.yaml --data data/train --validation data/val --out runs/two \\
      --variants 'no history' full --seeds 0 1 --set steps=5000

Trains one network after the other into OUT/<variant>-<seed> (see 'gdfusion train'), scores each on the scenes of
--validation and --hard, and writes OUT/table.md after each: the mean over the seeds and, with several, the spread.
What is done is kept: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import add_device_argument, add_set_argument, add_version_argument, assignment, progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gdfusion_ros.datasets.nuscenes import Dataset
    from gdfusion_ros.training.ablation import Trial
    from gdfusion_ros.training.run import Data

HELP = 'train with and without each temporal cue, and compare'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('config', type=Path, help='YAML file of training settings')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='DIR', help='dataset folders')
    parser.add_argument('--validation', type=Path, nargs='+', required=True, metavar='DIR', help='held-out scenes')
    parser.add_argument('--hard', type=Path, nargs='*', default=[], metavar='DIR', help='harder held-out scenes')
    add_version_argument(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of the trainings')
    parser.add_argument('--variants', nargs='+', metavar='CUES', help='default: all; an unknown one gives the list')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='default: 0')
    parser.add_argument(
        '--more-seeds',
        type=int,
        nargs='+',
        default=[],
        metavar='SEED',
        help='further seeds of the first and the last variant, for the spread',
    )
    add_set_argument(parser, 'one setting of the file; may be repeated')
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train what is not done yet, and print the table."""
    from gdfusion_ros.cli.train import datasets
    from gdfusion_ros.errors import GdfusionError
    from gdfusion_ros.files import written_whole
    from gdfusion_ros.model.runtime.device import select_device
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.training import ablation
    from gdfusion_ros.training import settings as training_settings
    from gdfusion_ros.training.run import Data

    prepare_process()
    variants = args.variants or list(ablation.VARIANTS)
    if unknown := [variant for variant in variants if variant not in ablation.VARIANTS]:
        raise GdfusionError(f"no variant '{unknown[0]}'; there are {', '.join(ablation.VARIANTS)}")
    settings = training_settings.read(args.config, dict(assignment(text) for text in args.overrides))
    device = select_device(args.device)
    data = Data(datasets(args.data, args.version), [])  # each trial is scored once, at its end
    held_out = {'validation': datasets(args.validation, args.version)}
    if args.hard:
        held_out['hard'] = datasets(args.hard, args.version)
    everything = ablation.trials(settings, variants, args.seeds, args.more_seeds, args.out)
    for trial in everything:
        if not held_out.keys() <= trial.scores().keys():
            _train(trial, data, held_out, str(device))
        with written_whole(args.out / 'table.md') as draft:
            draft.write_text(ablation.table(everything) + '\n')
    print(ablation.table(everything))
    print(f'\nthe table is in {args.out / "table.md"}, each training in a folder beside it')
    return 0


def _train(trial: Trial, data: Data, held_out: Mapping[str, Sequence[Dataset]], device: str) -> None:
    """Train one network to the end and keep its scores."""
    import torch

    from gdfusion_ros.cli.train import Display
    from gdfusion_ros.training.examples import Examples
    from gdfusion_ros.training.processes import ALONE
    from gdfusion_ros.training.run import Run, RunFolder
    from gdfusion_ros.training.trainer import starting_network
    from gdfusion_ros.training.validation import validate

    settings = trial.settings
    network = starting_network(settings, torch.device(device))
    training = Run(network, settings, data, RunFolder(trial.folder), ALONE)
    with progress(settings.steps, 'step', trial.folder.name) as bar:
        training.train(Display(bar, training.done))
    matrices = {}
    for name, scenes in held_out.items():
        examples = Examples(scenes, network.spec, settings, augment=False)
        with progress(sum(examples.lengths), 'frame', name) as bar:
            matrices[name] = validate(training.network, examples, settings, bar.update)
    trial.keep(matrices)
