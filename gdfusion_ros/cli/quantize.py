"""Put a trained network into 8 bits: smaller, and faster on CPUs that multiply bytes (VNNI).

  gdfusion quantize --bags drives/* --out nano_int8.safetensors
  gdfusion quantize --weights w.pth --model bevdetocc_gf --bags drives/* --score held_out/* --out int8.safetensors
  gdfusion replay bags/scene-0001 --out grids --weights nano_int8.safetensors --precision int8

Nothing is trained. The network sees frames of BAGS, which should look like what it will see, and the range of what each
convolution is given is noted. Then each is tried alone in 8 bits, with narrower and narrower ranges as long as that
keeps more classes; the report says what is changed. Finally all are put into 8 bits but those that the classes depend
on: at least the share --agreement of the voxels keeps its class. Weights have a step a channel, features one a layer.

--score BAGS with ground truth ('gdfusion convert --labels'), other ones than those of --bags, are scored before and
after.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import (
    add_model_arguments,
    add_pipeline_arguments,
    counted,
    model_settings,
    pipeline_settings,
    progress,
    tell,
    topic_settings,
)
from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gdfusion_ros.evaluation.report import Report
    from gdfusion_ros.model.network import OccupancyNetwork
    from gdfusion_ros.model.quantization.choice import Choice
    from gdfusion_ros.settings import PipelineSettings, TopicSettings

HELP = 'put a trained network into 8 bits'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('--bags', type=Path, nargs='+', required=True, metavar='BAG', help='bags to calibrate on')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='the safetensors file to write')
    parser.add_argument('--frames', type=int, default=8, metavar='N', help='of each bag; default: %(default)s')
    parser.add_argument(
        '--agreement',
        type=float,
        default=0.99,
        metavar='SHARE',
        help='voxels that keep their class, of the frames of the bags; default: %(default)s',
    )
    parser.add_argument(
        '--score',
        type=Path,
        nargs='+',
        default=(),
        metavar='BAG',
        help='bags with ground truth to score before and after',
    )
    add_model_arguments(parser)
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Quantise; print what it cost."""
    from gdfusion_ros.bags.grid_stream import ReplayListener
    from gdfusion_ros.bags.network_inputs import network_inputs
    from gdfusion_ros.files import refuse_existing
    from gdfusion_ros.model.quantization.calibration import observe
    from gdfusion_ros.model.quantization.choice import quantize
    from gdfusion_ros.model.quantization.file import save_quantized
    from gdfusion_ros.model.runtime.process import prepare_process
    from gdfusion_ros.model.weights.metadata import WeightsMetadata
    from gdfusion_ros.model.zoo import load_network, select_model

    _require_sane(args)
    prepare_process()
    refuse_existing(args.out)
    settings, pipeline, topics = model_settings(args), pipeline_settings(args), topic_settings(args)
    if settings.untrained or settings.precision != 'fp32' or settings.device not in ('auto', 'cpu'):
        raise GdfusionError(
            '8 bits are made of trained weights in fp32, on a CPU: leave out --untrained, --precision and --device'
        )
    settings = replace(settings, device='cpu')
    network, chosen = load_network(settings), select_model(settings)
    before = _scored(args.score, network, pipeline, topics) if args.score else None
    with progress(args.frames * len(args.bags), 'frame', 'looking') as bar:
        steps = network_inputs(
            args.bags,
            network,
            pipeline,
            topics,
            args.frames,
            listener=ReplayListener(warning=tell),
            on_frame=bar.update,
        )
    uses = observe(network, steps)
    with progress(len(uses), 'layer', 'trying') as bar:
        choice = quantize(network, uses, steps, args.agreement, bar.update)
    save_quantized(network, args.out, WeightsMetadata(chosen.spec.name, chosen.trained_on))
    print(_table(choice))
    if before is not None:
        print('\n' + _comparison(before, _scored(args.score, network, pipeline, topics)))
    layers = sum(layer.chosen for layer in choice.layers)
    work = sum(layer.work for layer in choice.layers if layer.chosen)
    print(
        f'\n{args.out}: {layers} of {len(choice.layers)} layers, with {100 * work:.1f} % of their multiplications, '
        f'have 8 bits; {100 * choice.agreement:.2f} % of the voxels of {counted(len(steps), "frame")} keep their class'
    )
    return 0


def _require_sane(args: argparse.Namespace) -> None:
    if args.frames < 1:
        raise GdfusionError(f'--frames {args.frames}: at least one of each bag is needed')
    if not 0 <= args.agreement <= 1:
        raise GdfusionError(f'--agreement {args.agreement}: a share of the voxels is between 0 and 1')
    if twice := set(args.bags) & set(args.score):
        raise GdfusionError(f'{min(twice)} is in --bags and in --score: what is calibrated on says nothing of others')


def _scored(
    bags: Sequence[Path], network: OccupancyNetwork, pipeline: PipelineSettings, topics: TopicSettings
) -> Report:
    from gdfusion_ros.evaluation.evaluator import evaluate
    from gdfusion_ros.evaluation.predictions import ModelPredictions
    from gdfusion_ros.evaluation.protocol import ScoringProtocol, usual_mask
    from gdfusion_ros.evaluation.truth import truth_of_bags

    truth = truth_of_bags(bags, pipeline, topics)
    with progress(len(truth.frames), 'frame', 'scoring') as bar:
        return evaluate(
            truth,
            ModelPredictions(bags, network, pipeline, topics),
            ScoringProtocol(usual_mask(truth.label_set)),
            lambda *_: bar.update(),
        )


def _table(choice: Choice) -> str:
    from tabulate import tabulate

    rows = [
        (
            layer.name,
            f'{100 * layer.work:.1f}',
            f'{layer.given.lower:.4g} to {layer.given.upper:.4g}',
            f'{100 * layer.error:.2f}',
            f'{100 * layer.changed:.3f}',
            '8 bits' if layer.chosen else 'fp32',
        )
        for layer in choice.layers
    ]
    return tabulate(
        rows,
        ('layer', 'work %', 'steps are for', 'error %', 'voxels changed %', 'kept as'),
        disable_numparse=True,
        colalign=('left', 'right', 'right', 'right', 'right', 'left'),
    )


def _comparison(before: Report, after: Report) -> str:
    from tabulate import tabulate

    rows = [
        (
            name,
            f'{100 * value:.2f}',
            f'{100 * after.scores()[name]:.2f}',
            f'{100 * (after.scores()[name] - value):+.2f}',
        )
        for name, value in before.scores().items()
    ]
    return tabulate(
        rows,
        ('score', 'fp32 %', '8 bits %', 'difference'),
        disable_numparse=True,
        colalign=('left', 'right', 'right', 'right'),
    )
