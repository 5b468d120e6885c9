"""Try everything: a synthetic scene, a bag, the live node over DDS, scores against ground truth, pictures.

  gdfusion demo                                                  a scene made for the demo, the default model
  gdfusion demo --seed 5 --frames 40                             another scene, as long as those of nuScenes
  gdfusion demo --nuscenes /data/nuscenes --weights bevdetocc_gf --scenes scene-0103

Makes a short scene with ground truth (or takes scenes of nuScenes), converts it to a bag, starts the node as a process
of its own, plays the bag to it at its own pace, records what it publishes and compares it with the ground truth. Prints
what came in, what came out, how long it took and how good it is; exit code 0 says that every camera set gave a grid.

Writes into OUT: synthetic/ (the scene), bags/<scene>, grids (the recording), scores.md, last_grid.png, drive.mp4,
drive.html (open it in a browser), node.log. The output of an earlier demo in OUT is replaced; any other folder
that is not empty is refused. Unless ROS_DOMAIN_ID is set, the demo takes a domain of its own and talks to
this machine only.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import (
    add_bag_arguments,
    add_model_arguments,
    add_version_argument,
    model_settings,
    progress,
)
from gdfusion_ros.errors import GdfusionError

if TYPE_CHECKING:
    from gdfusion_ros.datasets.nuscenes import Dataset
    from gdfusion_ros.demo.folder import Folder
    from gdfusion_ros.demo.run import DemoResult

HELP = 'try everything: a synthetic scene, a bag, the live node, scores, pictures'

_SCENES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('--nuscenes', type=Path, metavar='DIR', help='folder of nuScenes; default: a scene is made')
    add_version_argument(parser)
    parser.add_argument(
        '--scenes', nargs='+', default=(), metavar='SCENE', help=f'scene names; default: the first {_SCENES}'
    )
    parser.add_argument('--seed', type=int, default=7, help='of the synthetic scene; default: %(default)s')
    parser.add_argument(
        '--frames', type=int, default=12, help='key frames of the synthetic scene; default: %(default)s'
    )
    parser.add_argument('--out', type=Path, default=Path('demo'), metavar='DIR', help='default: %(default)s')
    add_bag_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demo; exit code 1 where a camera set gave no grid."""
    from gdfusion_ros.ros import environment

    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros.demo import run as demo
    from gdfusion_ros.demo.folder import Folder

    if not args.nuscenes and (args.scenes or args.version):
        raise GdfusionError('--scenes and --version are of nuScenes: give --nuscenes DIR')
    model, folder = model_settings(args), Folder(args.out)
    demo.check(model)
    dataset = _chosen(args) if args.nuscenes else None
    folder.clear()
    if dataset is None:
        dataset = demo.make_scene(folder, args.seed, args.frames, os.cpu_count() or 1, progress)
    print(
        f'{", ".join(scene.name for scene in dataset.scenes)} of {dataset.root}, '
        f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}'
    )
    result = demo.run(dataset, folder, model, progress, storage=args.storage, bag_format=args.format)
    _report(result, folder)
    return 0 if result.grids == result.expected else 1


def _chosen(args: argparse.Namespace) -> Dataset:
    """The scenes of nuScenes that are asked for, else the first ones."""
    from dataclasses import replace

    from gdfusion_ros.datasets import nuscenes

    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes)
    return dataset if args.scenes else replace(dataset, scenes=dataset.scenes[:_SCENES])


def _report(result: DemoResult, folder: Folder) -> None:
    from tabulate import tabulate

    from gdfusion_ros.bags.recording import capacity, percentiles

    print(tabulate(result.counts, tablefmt='plain', disable_numparse=True), end='\n\n')
    print(tabulate(percentiles(result.latencies), headers=('latency [ms]', 'median', '95 %', 'worst'), floatfmt='.1f'))
    print(f'\nat full load: {capacity(result.latencies):.1f} grids a second')
    print('\n' + (result.scores.render('text') if result.scores else 'no ground truth to compare with'), end='\n\n')
    print(f'{result.model}: {result.grids} grids of {result.expected} camera sets in {folder.grids}')
    print(f'the last one in {folder.picture}, all of them in {folder.video} and, for a browser, {folder.page}')
