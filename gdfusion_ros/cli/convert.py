"""Convert nuScenes scenes to rosbag2: one bag a scene.

  gdfusion convert /data/nuscenes --out bags
  gdfusion convert /data/nuscenes --out bags --scenes scene-0103 scene-0500..scene-0560 mini_val --jobs 8
  gdfusion convert /data/nuscenes --out bags --scenes val --sweeps --lidar --annotations --labels
  gdfusion convert /data/nuscenes --out bags --scenes val --resume      goes on where a run was stopped
  gdfusion convert /data/nuscenes --out bags --storage sqlite3 --format humble

Writes OUT/<scene-name> with, for every camera, the JPEG files as they are (CompressedImage) and CameraInfo; the ego
pose at every sensor's stamp (/tf, map -> base_link); the sensors' places (/tf_static, latched); the sample tokens.
Header stamps and record times are the sensors' own. Of nuScenes, the tables and the cameras' key frames are needed;
what else was asked for and is not there is said, and left out.

A bag appears under its name when it is whole: what is stopped leaves only the bags that were done. Nothing is
overwritten. JPEGs do not shrink, so compression only pays for point clouds and labels. The time that is told before the
start is the size over the rate of a short trial on the same disk.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gdfusion_ros.cli.common import add_bag_arguments, add_version_argument, counted, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable

if TYPE_CHECKING:
    from gdfusion_ros.datasets.plan import Content, Job

HELP = 'convert a dataset in nuScenes format to rosbag2'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('nuscenes', type=Path, help='folder of nuScenes, which has v1.0-mini/ or so, and samples/')
    parser.add_argument('--out', type=Path, required=True, help='folder for the bags; made where it is not there')
    add_version_argument(parser)
    parser.add_argument(
        '--scenes',
        nargs='+',
        default=(),
        metavar='SCENE',
        help='names, ranges FIRST..LAST, or official splits (train, val, test, mini_train, mini_val, '
        "…; need pip install 'gdfusion-ros[nuscenes]'); default: all",
    )
    content = parser.add_argument_group('content')
    content.add_argument('--sweeps', action='store_true', help='what was measured between the key frames, too')
    content.add_argument(
        '--lidar', action='store_true', help='PointCloud2 of LIDAR_TOP on /LIDAR_TOP/points (x, y, z, intensity, ring)'
    )
    content.add_argument(
        '--annotations', action='store_true', help='boxes of the key frames as markers on /nuscenes/annotations, in map'
    )
    content.add_argument(
        '--labels',
        action='store_true',
        help='Occ3D labels (gts/) as SemanticOccupancyGrid on /ground_truth/occupancy; its confidence '
        'is 255 where a camera sees the voxel, else 0',
    )
    content.add_argument(
        '--skip-missing',
        action='store_true',
        help='leave out key frame images that are missing or empty instead of refusing the conversion',
    )
    form = parser.add_argument_group('form')
    add_bag_arguments(form)
    form.add_argument(
        '--compression',
        choices=('none', 'message', 'file', 'storage'),
        default='none',
        help='zstd: of every message, of the file, or of the chunks inside of MCAP; default: %(default)s',
    )
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='scenes at a time; default: %(default)s')
    parser.add_argument('--resume', action='store_true', help='skip the scenes whose bags are there')


def run(args: argparse.Namespace) -> int:
    """Convert and print what was written."""
    import math
    import time

    from gdfusion_ros.bags.info import format_size
    from gdfusion_ros.bags.writer import require_compression
    from gdfusion_ros.datasets import nuscenes
    from gdfusion_ros.datasets.convert import trial
    from gdfusion_ros.datasets.parallel import convert_all
    from gdfusion_ros.datasets.plan import Content, absences, existing, plan, unfinished

    if args.jobs < 1:
        raise GdfusionError(f'--jobs {args.jobs}: expected at least 1')
    require_compression(args.storage, args.compression)
    content = Content(args.sweeps, args.lidar, args.annotations, args.labels)
    options = {'storage': args.storage, 'bag_format': args.format, 'compression': args.compression}
    print(f'reading the tables of {args.nuscenes}', flush=True)
    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes, sweeps=args.sweeps, annotations=args.annotations)
    if args.resume:
        chosen, dataset = dataset, unfinished(dataset, args.out, content)
        print(f'{len(chosen.scenes) - len(dataset.scenes)} of {len(chosen.scenes)} bags are there')
        if not dataset.scenes:
            return 0
    jobs = plan(dataset, args.out, content, skip_missing=args.skip_missing)
    size, rate = sum(job.size for job in jobs), trial(jobs[0], existing(args.out), **options)
    print(
        f'{printable(dataset.version, 80)}: {counted(len(jobs), "scene")}, {sum(job.images for job in jobs)} images, '
        f'{format_size(size)}, about {math.ceil(size / rate)} s in one process ({format_size(rate)}/s in a trial)'
    )
    print('\n'.join(absences(dataset, jobs)), flush=True)
    done: list[Job] = []
    begin = time.monotonic()
    with progress(size, 'B', scaled=True) as bar:
        convert_all(jobs, args.jobs, options=options, on_file=bar.update, on_done=done.append)
    seconds = time.monotonic() - begin
    print(_table(done, content))
    print(
        f'{counted(len(done), "bag")}, {format_size(size)} in {seconds:.1f} s ({format_size(round(size / seconds))}/s)'
    )
    skipped, scenes = sum(len(job.missing('images')) for job in jobs), len(dataset.scenes) - len(jobs)
    if skipped or scenes:
        print(f'skipped: {counted(skipped, "image")} missing or empty, {counted(scenes, "scene")} without images')
    return 0


def _table(jobs: list[Job], content: Content) -> str:
    """The bags and what is in them."""
    from tabulate import tabulate

    from gdfusion_ros.bags.info import bag_size, format_size
    from gdfusion_ros.datasets.plan import LABELS, LIDAR_FILES

    rows = []
    for job in sorted(jobs, key=lambda job: job.path):
        row = {'bag': job.path, 'key frames': len(job.scene.samples), 'images': job.images}
        if content.lidar:
            row['point clouds'] = len(job.files[LIDAR_FILES]) - len(job.missing(LIDAR_FILES))
        if content.annotations:
            row['boxes'] = sum(len(sample.boxes) for sample in job.scene.samples)
        if content.labels:
            row['labels'] = len(job.files[LABELS]) - len(job.missing(LABELS))
        rows.append({**row, 'size': format_size(bag_size(job.path))})
    return tabulate(rows, headers='keys', disable_numparse=True)
