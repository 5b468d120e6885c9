"""Try everything on nuScenes: bags, live node over DDS, recording, table, picture.

  gdfusion demo --nuscenes /data/nuscenes --weights bevdetocc_gf.pth
  gdfusion demo --nuscenes /data/nuscenes --untrained --model bevdetocc_gf_small --scenes scene-0103

Converts the scenes to bags, starts the node as a process of its own, plays the bags to it at their own pace, records
what it publishes, and prints what came in, what came out and how long it took. Exit code 0 says that every camera set
gave a grid. The full network takes about 2 s a frame on two CPU cores.

Writes into OUT: bags/<scene>, grids (the recording), last_grid.png, node.log. The output of an earlier demo in OUT is
replaced; any other folder that is not empty is refused. Unless ROS_DOMAIN_ID is set, the demo takes a domain of its own
and talks to this machine only.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gdfusion_ros.cli.common import add_model_arguments, model_settings, progress

HELP = 'nuScenes to bags, bags to the live node, grids to a picture'

_SCENES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('--nuscenes', type=Path, required=True, metavar='DIR', help='folder of nuScenes')
    parser.add_argument('--version', help='version to read, e.g. v1.0-mini; needed only where several are there')
    parser.add_argument('--scenes', nargs='+', default=(), metavar='SCENE',
                        help=f'scene names; default: the first {_SCENES}')
    parser.add_argument('--out', type=Path, default=Path('demo'), metavar='DIR', help='default: %(default)s')
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demo; exit code 1 where a camera set gave no grid."""
    from dataclasses import replace

    from tabulate import tabulate

    from gdfusion_ros.bags.recording import percentiles
    from gdfusion_ros.datasets import nuscenes
    from gdfusion_ros.ros import environment
    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros import demo

    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes)
    chosen = dataset if args.scenes else replace(dataset, scenes=dataset.scenes[:_SCENES])
    names = ', '.join(scene.name for scene in chosen.scenes)
    print(f'{names} ({len(chosen.scenes)} of {len(dataset.scenes)} scenes), '
          f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}')
    folder = demo.Folder(args.out)
    result = demo.run(chosen, folder, model_settings(args), progress)
    print(tabulate(result.counts, tablefmt='plain', disable_numparse=True), end='\n\n')
    print(tabulate(percentiles(result.latencies), headers=('latency [ms]', 'median', '95 %', 'worst'), floatfmt='.1f'))
    print(f'{result.model}: {result.grids} grids of {result.expected} camera sets in {folder.grids}, the last one in '
          f'{result.picture}')
    return 0 if result.grids == result.expected else 1
