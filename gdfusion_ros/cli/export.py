"""Export a network as ONNX, for robots without torch and for other runtimes; check what was exported.

  gdfusion export gdfusion_nano --out nano.onnx
  gdfusion export bevdetocc_gf --weights bevdetocc_gf --out gf.onnx --scores
  gdfusion export gdfusion_nano --out half.onnx --precision fp16   convolutions in 16 bits, for GPUs
  gdfusion export --weights nano_int8.safetensors --out eight.onnx --precision int8   what 'gdfusion quantize' made
  gdfusion export --check nano.onnx --bag bags/scene-0103      frame by frame against torch

Beside nano.onnx, the network, it writes nano.geometry.onnx, which computes what follows from calibration and poses, and
nano.json, which tells every tensor that goes in and comes out. docs/deploy.md is about them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import add_pipeline_arguments, counted, pipeline_settings, progress, topic_settings
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import CUES, ModelSettings

if TYPE_CHECKING:
    from gdfusion_ros.bags.agreement import FrameAgreement
    from gdfusion_ros.model.export.contract import Precision

HELP = 'write a network as ONNX, or compare one with torch'
LEAST_AGREEMENT: dict[Precision, float] = {'fp32': 0.9999, 'fp16': 0.995, 'int8': 0.99}
"""Share of the voxels whose class must be the same in every frame, by the precision of the convolutions."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('model', nargs='?', default='', help="the network; 'gdfusion models' lists them")
    parser.add_argument('--weights', default='', help="name or path; default: the model's own")
    parser.add_argument('--untrained', action='store_true', help='random weights, for trials')
    parser.add_argument('--cues', nargs='*', choices=CUES, default=CUES, help='temporal cues; default: all')
    parser.add_argument('--out', type=Path, metavar='FILE.onnx', help='the graph to write')
    parser.add_argument('--scores', action='store_true', help='let the graph give the scores of the classes, too')
    parser.add_argument(
        '--precision',
        choices=tuple(LEAST_AGREEMENT),
        default='fp32',
        help="of the convolutions; all else is fp32. fp16: for GPUs; int8: of weights that 'gdfusion quantize' made. "
        'Default: %(default)s',
    )
    check = parser.add_argument_group('check')
    check.add_argument('--check', type=Path, metavar='FILE.onnx', help='an exported network to compare with torch')
    check.add_argument('--bag', type=Path, help='bag with images that both see')
    check.add_argument('--backend', choices=('onnxruntime', 'openvino'), default='onnxruntime', help='what runs it')
    check.add_argument(
        '--provider',
        default='CPU',
        help='execution provider of onnxruntime, or device of openvino; default: %(default)s',
    )
    check.add_argument('--frames', type=int, metavar='N', help='compare so many frames; default: all')
    add_pipeline_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Export or check."""
    if (args.out is None) == (args.check is None):
        raise GdfusionError('give --out FILE.onnx to export, or --check FILE.onnx --bag BAG to check')
    if args.check is not None and args.bag is None:
        raise GdfusionError('--check needs --bag BAG, whose images both see')
    return _export(args) if args.check is None else _check(args)


def _settings(args: argparse.Namespace, model: str) -> ModelSettings:
    return ModelSettings(
        model=model, weights=args.weights, untrained=args.untrained, device='cpu', cues=tuple(args.cues)
    )


def _export(args: argparse.Namespace) -> int:
    from gdfusion_ros.bags.info import format_size
    from gdfusion_ros.model.export.contract import contract_path, geometry_path
    from gdfusion_ros.model.export.write import export_settings

    contract = export_settings(_settings(args, args.model), args.out, scores=args.scores, precision=args.precision)
    for path in (args.out, geometry_path(args.out), contract_path(args.out)):
        print(f'{path}: {format_size(path.stat().st_size)}')
    graph = contract.network
    print(f'{contract.title}: {len(graph.inputs)} inputs, {len(graph.outputs)} outputs, ONNX opset {contract.opset}')
    return 0


def _check(args: argparse.Namespace) -> int:
    from itertools import islice

    from gdfusion_ros.bags.agreement import agreement
    from gdfusion_ros.model.export.write import same_weights
    from gdfusion_ros.model.runtime.exported import ExportedNetwork
    from gdfusion_ros.model.runtime.process import prepare_process

    prepare_process()
    exported = ExportedNetwork(args.check, args.provider, args.backend)
    spec = exported.spec
    if args.model not in ('', spec.name):
        raise GdfusionError(f'{args.check} is an export of the model {spec.name}, not of {args.model}')
    network = same_weights(_settings(args, spec.name), exported.contract)
    summary = _Summary()
    with progress(args.frames, 'frame') as bar:
        for frame in islice(
            agreement(args.bag, network, exported, pipeline_settings(args), topic_settings(args)), args.frames
        ):
            summary.add(frame)
            bar.update()
    print(
        f'{exported.title}, {args.backend} with {exported.device} against torch: {counted(summary.frames, "frame")}\n'
        f'labels equal: {summary.labels:.6f} in the worst frame\n'
        f'largest error of the state: {summary.error:.2g} standard deviations ({summary.worst or "nothing"})'
    )
    least = LEAST_AGREEMENT[exported.contract.precision]
    if summary.labels < least:
        raise GdfusionError(f'{args.check} differs from torch: fewer than {least} of the labels are equal')
    return 0


@dataclass
class _Summary:
    """The worst of all frames."""

    frames: int = 0
    labels: float = 1.0
    error: float = 0.0
    worst: str = ''

    def add(self, frame: FrameAgreement) -> None:
        """Take one more into account."""
        self.frames += 1
        self.labels = min(self.labels, frame.labels)
        if frame.error > self.error:
            self.error, self.worst = frame.error, frame.worst
