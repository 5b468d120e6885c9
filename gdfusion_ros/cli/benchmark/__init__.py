"""Measure time and memory: of networks by stage, the live node, the converter, the reader of nuScenes, training.

  gdfusion benchmark                                  the default model, by stage, against its floor
  gdfusion benchmark --model bevdetocc_gf --device cuda:0 --precision autocast --json frame.json
  gdfusion benchmark --against main --pairs 5         the same by turns with another commit: ratios of frame and memory
  gdfusion benchmark --plain                          the same by torch's own operators, without what is compiled here
  gdfusion benchmark cues --model bevdetocc_gf        what the four fusions take of a frame, and what their gradients
                                                      would take by autograd
  gdfusion benchmark memory --figure memory.png       bevdetocc_sf, which keeps 1 to 16 volumes, against bevdetocc_gf,
                                                      which fuses all into one: state and peak memory
  gdfusion benchmark zoo --frames 3 --figure zoo.png  every network of the zoo, each in a process of its own: frame,
                                                      floor and memory beside the accuracy that others report
  gdfusion benchmark node --bag bags/scene-0103       plays the bag to a node over DDS and times it from the last image
                                                      of a set to the published grid
  gdfusion benchmark view --frames 20                 what a grid costs the thread that shows it, by viewer, for those
                                                      viewers whose libraries are installed; and how long it takes to
                                                      find out which of its voxels the cameras saw
  gdfusion benchmark soak --frames 1600               sends synthetic camera sets to a node over DDS; an error if its
                                                      memory, open files or threads grow
  gdfusion benchmark convert --nuscenes /data/nuscenes --scenes scene-0061 scene-0103
                                                      against the same images written by rosbags alone, by turns
  gdfusion benchmark tables --share 0.1               reads generated tables of a tenth of v1.0-trainval (1: of all)
  gdfusion benchmark train --config config/train_nano.yaml --nuscenes made --frames 50
                                                      steps of training, and how long they wait for data
  gdfusion benchmark fleet --bag bags --bags 10000    'gdfusion fleet' on all cores against replays one after the other,
                                                      and what giving out 10,000 empty bags takes

The floor is the time of the network's own convolutions and matrix products run alone in the same process: what is above
it is overhead that better code could save. GMAC are multiply-adds of these products, counted while they run. Machines
are noisy: compare ratios from one run, not milliseconds of two.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from gdfusion_ros.cli.common import add_model_arguments, add_version_argument
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing, written_whole

HELP = 'measure time and memory: networks, live node, converter, training, …'

MEASURES = ('network', 'cues', 'memory', 'zoo', 'node', 'steps', 'soak', 'convert', 'tables', 'train', 'view', 'fleet')
"""What can be measured: a module each of this package with ``run(args) -> numbers``, which imports what it measures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, how often, and the network."""
    parser.add_argument(
        'what',
        nargs='?',
        choices=MEASURES,
        default='network',
        help='the network alone (default), its fusions (cues), what remembering costs (memory), all '
        'networks (zoo), the live node over DDS (needs ROS), what it does besides the network (steps), whether '
        'it grows (soak), the converter, '
        'the reader of the tables, training, the viewers (view), or many bags (fleet)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        default=10,
        help='frames to measure, camera sets to send, and how often to convert. Default: 10.',
    )
    parser.add_argument('--bag', type=Path, help='bag to play to the node; folder of bags for the fleet')
    parser.add_argument(
        '--bags', type=int, default=10_000, metavar='N', help='empty bags that a fleet is given. Default: %(default)s.'
    )
    parser.add_argument(
        '--nuscenes', type=Path, metavar='DIR', help='folder of nuScenes, for the converter and for training'
    )
    add_version_argument(parser)
    parser.add_argument('--config', type=Path, help='YAML file of training settings')
    parser.add_argument('--scenes', nargs='+', default=(), metavar='SCENE', help="see 'gdfusion convert'")
    parser.add_argument(
        '--share',
        type=float,
        default=1.0,
        help="size of the generated tables as a share of v1.0-trainval's. Default: 1.",
    )
    parser.add_argument(
        '--against',
        metavar='COMMIT',
        help='benchmark the network by turns with that commit of this '
        'checkout, both with the libraries that are installed',
    )
    parser.add_argument('--pairs', type=int, default=3, help='turns of --against. Default: 3.')
    parser.add_argument(
        '--plain',
        action='store_true',
        help="the network by torch's own operators alone, as graphs are written: what the compiled ones gain",
    )
    parser.add_argument('--figure', type=Path, metavar='FILE', help='draw memory or zoo into FILE, a PNG')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers to FILE as well')
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON file."""
    _require_sane(args)
    # Speed does not depend on what the weights are, so random ones will do where none are given.
    if not args.weights:
        args.untrained = True
    for path in (args.json, args.figure):
        if path is not None:
            refuse_existing(path)
    measure = args.what if args.against is None else 'against'
    numbers = importlib.import_module(f'{__name__}.{measure}').run(args)
    if args.json is not None:
        with written_whole(args.json) as draft:
            draft.write_text(json.dumps(numbers, indent=2) + '\n')
        print(f'numbers in {args.json}')
    return 0


def _require_sane(args: argparse.Namespace) -> None:
    faults = (
        (args.frames < 1, f'--frames {args.frames}: expected at least 1'),
        (
            args.what == 'node' and args.bag is None,
            "which bag shall be played to the node? --bag DIR ('gdfusion convert' makes one)",
        ),
        (
            args.what == 'fleet' and (args.bag is None or args.bags < 10),
            'over which bags? --bag DIR, a folder with bags; and --bags of at least 10',
        ),
        (
            args.what == 'soak' and args.frames < 100,
            f'--frames {args.frames}: of less than 100 camera sets nothing can be told',
        ),
        (args.what == 'convert' and args.nuscenes is None, 'what shall be converted? --nuscenes DIR'),
        (
            args.what == 'train' and not (args.nuscenes and args.config),
            'what shall be trained on what? --config FILE --nuscenes DIR',
        ),
        (not 0 < args.share <= 1, f'--share {args.share}: expected more than 0 and at most 1'),
        (
            args.plain and (args.what != 'network' or args.against is not None),
            '--plain is for the network alone, by itself',
        ),
        (
            args.against is not None and (args.what != 'network' or args.pairs < 1),
            '--against compares the network alone, in --pairs of at least 1',
        ),
    )
    for wrong, said in faults:
        if wrong:
            raise GdfusionError(said)
