"""Play rosbag2 bags over DDS, for a node that runs elsewhere: the recorded bytes, QoS and pace.

  gdfusion play scene-0103                       once, as recorded, /tf_static latched
  gdfusion play scene-0103 --loop --clock        until Ctrl-C, with /clock for nodes with use_sim_time
  gdfusion play a b c --rate 0.5 --start 2       one after the other, half as fast, each from its 2nd second on
  gdfusion play scene-0103 --wait 20             starts when the node has subscribed to cameras and TF

Image topics need the shared memory that this command sets up for itself (config/fastdds_profile.xml): start other
publishers of images with FASTRTPS_DEFAULT_PROFILES_FILE set to that file, too (Kilted: FASTDDS_DEFAULT_PROFILES_FILE,
config/fastdds3_profile.xml).
"""

from __future__ import annotations

import argparse
import math
import signal
from pathlib import Path

HELP = 'play bags over DDS to a live node'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bags, and how they are played."""
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG', help='bag folder, or .mcap or .db3 file')
    parser.add_argument('--rate', type=_positive, default=1.0, metavar='X', help='speed (default: 1)')
    parser.add_argument(
        '--loop', type=_count, nargs='?', default=1, const=0, metavar='N', help='play N times; without N until Ctrl-C'
    )
    parser.add_argument('--start', type=_not_negative, default=0.0, metavar='SECONDS', help='begin there in every bag')
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC', help='play only these')
    parser.add_argument(
        '--clock',
        type=_positive,
        nargs='?',
        default=0.0,
        const=100.0,
        metavar='HZ',
        help='publish /clock (default rate: 100 Hz)',
    )
    parser.add_argument(
        '--wait',
        type=_not_negative,
        default=0.0,
        metavar='SECONDS',
        help='wait until cameras and TF have subscribers; an error if none come within SECONDS',
    )


def run(args: argparse.Namespace) -> int:
    """Play until the end or Ctrl-C, then say what was published; exit code 130 where that ended it early."""
    from gdfusion_ros.ros import environment

    environment.prepare()
    from gdfusion_ros.bags.reader import bag_reader
    from gdfusion_ros.cli.common import progress, tell
    from gdfusion_ros.ros.player import Playback, play

    total = 0
    for bag in args.bags:
        with bag_reader(bag) as reader:
            total += reader.count(args.topics) if args.topics else reader.message_count
    known = total * args.loop if args.loop and not args.start else None
    playback = Playback(
        rate=args.rate, loops=args.loop, start=args.start, topics=tuple(args.topics), clock=args.clock, wait=args.wait
    )
    stopped = False
    with progress(known, 'msg', 'play') as bar:
        try:
            play(args.bags, playback, lambda _: bar.update(), tell)
        except KeyboardInterrupt:
            stopped = True
            bar.set_description('stopped')
        published = bar.n
    early = args.loop and published != known
    print(f'published {published} messages' + (f' of {known}' if known and early else ''))
    return 128 + signal.SIGINT if stopped and early else 0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'expected a number, got {text}')
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f'expected a number above 0, got {text}')
    return value


def _not_negative(text: str) -> float:
    if (value := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f'expected a number from 0 on, got {text}')
    return value


def _count(text: str) -> int:
    if (value := _number(text)) < 1 or not value.is_integer():
        raise argparse.ArgumentTypeError(f'expected a whole number from 1 on, got {text}')
    return int(value)
