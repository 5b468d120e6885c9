"""Show what is in a rosbag2 bag: time span, topics, message types, counts, rates, QoS and custom data.

  gdfusion info bags/scene-0103
  gdfusion info recording.mcap

Reads MCAP and sqlite3 bags of every ROS 2 distribution (a folder, or a single .mcap or .db3 file, packed with zstd or
not), and lists what is left out, being no messages of ROS 2. Writes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = 'show what is in a bag'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('bag', type=Path, help='folder of a bag, or a .mcap or .db3 file')


def run(args: argparse.Namespace) -> int:
    """Print the description of the bag."""
    from gdfusion_ros.bags.info import describe
    from gdfusion_ros.bags.reader import bag_reader

    with bag_reader(args.bag) as bag:
        print(describe(bag))
    return 0
