"""Convert nuScenes scenes to rosbag2: one bag a scene, key frames.

  gdfusion convert /data/nuscenes --out bags
  gdfusion convert /data/nuscenes --out bags --version v1.0-trainval --scenes scene-0103 scene-0916
  gdfusion convert /data/nuscenes --out bags --storage sqlite3 --format humble

Writes OUT/<scene-name> with, for every camera, the JPEG files as they are (CompressedImage) and CameraInfo; the ego
pose at every sensor's stamp (/tf, map -> base_link); the sensors' places (/tf_static, latched); the sample tokens.
Header stamps and record times are the sensors' own. Of nuScenes, the tables and the cameras' key frames are needed.

A bag appears under its name when it is whole: what is stopped leaves only the bags of the scenes before. Nothing is
overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gdfusion_ros.cli.common import progress

HELP = 'convert nuScenes to rosbag2'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('nuscenes', type=Path, help='folder of nuScenes, which has v1.0-mini/ or so, and samples/')
    parser.add_argument('--out', type=Path, required=True, help='folder for the bags; made where it is not there')
    parser.add_argument('--version', help='version to read, e.g. v1.0-mini; needed only where several are there')
    parser.add_argument('--scenes', nargs='+', default=(), metavar='SCENE', help='scene names; default: all')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap', help='default: %(default)s')
    parser.add_argument('--format', choices=('jazzy', 'humble'), default='jazzy',
                        help='oldest ROS distribution that shall read the bags (Humble and Iron cannot read the newer '
                        'metadata); default: %(default)s')
    parser.add_argument('--skip-missing', action='store_true',
                        help='leave out images that are missing or empty instead of refusing the conversion')


def run(args: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from tabulate import tabulate

    from gdfusion_ros.bags.info import bag_size, format_size
    from gdfusion_ros.datasets import nuscenes
    from gdfusion_ros.datasets.convert import convert, plan

    print(f'reading the tables of {args.nuscenes}', flush=True)
    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes)
    jobs = plan(dataset, args.out, skip_missing=args.skip_missing)
    size = sum(job.size for job in jobs)
    print(f'{dataset.version}: {len(jobs)} scenes, {sum(job.images for job in jobs)} images, {format_size(size)}')
    rows = []
    with progress(size, 'B', scaled=True) as bar:
        for job in jobs:
            bar.set_description(job.scene.name)
            convert(job, storage=args.storage, bag_format=args.format, on_image=bar.update)
            rows.append((job.path, len(job.scene.samples), job.images, format_size(bag_size(job.path))))
    print(tabulate(rows, headers=('bag', 'key frames', 'images', 'size'), disable_numparse=True))
    skipped, scenes = sum(len(job.missing) for job in jobs), len(dataset.scenes) - len(jobs)
    if skipped or scenes:
        print(f'skipped: {skipped} images that are missing or empty, {scenes} scenes without images')
    return 0
