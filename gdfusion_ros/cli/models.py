"""List the networks: what each is, what it takes and gives, how large it is, how good it is said to be.

  gdfusion models                                 all
  gdfusion models bevdetocc_gf gdfusion_nano      these
  gdfusion models --format json

Parameters are what is learned; GMAC are 1e9 multiply-adds of a frame and state is what is remembered between frames, as
'gdfusion benchmark' measures them. Scores are not ours unless it says so: who reports them stands below the table.
'weights' are names that --weights and 'gdfusion weights fetch' take; a network without any takes the path of a file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdfusion_ros.model.networks.about import About, Scores
    from gdfusion_ros.model.spec import NetworkSpec
    from gdfusion_ros.model.zoo import Entry

HELP = 'list the networks: size, cost, reported scores'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('models', nargs='*', metavar='MODEL', help='names; default: all')
    parser.add_argument('--format', choices=('text', 'markdown', 'json'), default='text', help='default: %(default)s')


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    from gdfusion_ros.model.networks.about import ABOUT
    from gdfusion_ros.model.zoo import ZOO, entry

    entries = [entry(name) for name in args.models or ZOO]
    if args.format == 'json':
        print(json.dumps([_as_json(each) for each in entries], indent=2))
        return 0
    print(_table(entries, 'github' if args.format == 'markdown' else 'simple'))
    if any(not scores.real for each in entries if each.spec.name in ABOUT for scores in ABOUT[each.spec.name].scores):
        print('* on synthetic scenes: not to be compared with the others')
    for each in entries:
        print(f'\n{each.spec.name}: ' + '\n  '.join(_told(ABOUT.get(each.spec.name))))
    return 0


def _weights(spec: NetworkSpec) -> list[str]:
    """Names of the weights that are known of a network."""
    from gdfusion_ros.model.weights.registry import known

    return [weights.name for weights in known().values() if weights.model == spec.name]


def _input(spec: NetworkSpec) -> str:
    """Number and size of the images, C for cameras and D for LiDAR depth."""
    height, width = spec.image_size
    return f'{spec.cameras} x {height}x{width}, {"C+D" if spec.lidar_depth else "C"}'


def _table(entries: Sequence[Entry], style: str) -> str:
    from tabulate import tabulate

    from gdfusion_ros.model.networks.about import ABOUT

    headers = ('model', 'labels', 'input', 'parameters [M]', 'GMAC', 'state [MB]', 'mIoU', 'mIoU_D', 'IoU', 'weights')
    rows = []
    for each in entries:
        about, spec = ABOUT.get(each.spec.name), each.spec
        sizes = (
            ('-',) * 3
            if about is None
            else (f'{about.parameters / 1e6:.2f}', _one_place(about.gmac), _one_place(about.state / 1e6))
        )
        scores = ('-',) * 3 if about is None or not about.scores else _percents(about.scores[0])
        rows.append((spec.name, spec.label_set, _input(spec), *sizes, *scores, ', '.join(_weights(spec)) or 'by path'))
    align = ('left',) * 3 + ('right',) * 6 + ('left',)
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True, colalign=align)


def _percents(scores: Scores) -> tuple[str, str, str]:
    mark = '' if scores.real else '*'
    miou, dynamic, iou = (_one_place(value) + mark for value in (scores.miou, scores.miou_dynamic, scores.iou))
    return miou, dynamic, iou


def _one_place(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'


def _told(about: About | None) -> list[str]:
    """What a network is, in words."""
    if about is None:
        return ['nothing more is known of it']
    reported = [f'{" / ".join(_percents(scores))} ({scores.source})' for scores in about.scores]
    return [about.what, f'mIoU / mIoU_D / IoU: {", ".join(reported) or "nobody reports any"}', about.checked]


def _as_json(each: Entry) -> dict[str, object]:
    from gdfusion_ros.model.networks.about import ABOUT

    spec = each.spec
    facts = dataclasses.asdict(ABOUT[spec.name]) if spec.name in ABOUT else {}
    return {
        'model': spec.name,
        'label_set': spec.label_set,
        'cameras': spec.cameras,
        'image_size': spec.image_size,
        'lidar_depth': spec.lidar_depth,
        'frame': spec.frame,
        'voxels': spec.predicted_grid.shape,
        'weights': _weights(spec),
        **facts,
    }
