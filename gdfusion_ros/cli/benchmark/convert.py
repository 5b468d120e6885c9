"""The converter against the same images written by rosbags alone."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from tabulate import tabulate

from gdfusion_ros.bags.info import format_size
from gdfusion_ros.benchmark import dataset as benchmark
from gdfusion_ros.cli.common import counted, progress
from gdfusion_ros.datasets import nuscenes


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Convert by turns, in every storage."""
    dataset = nuscenes.load(args.nuscenes, args.version, args.scenes)
    with progress((args.frames + 1) * len(benchmark.STORAGES), 'run') as bar:
        results = benchmark.conversion(dataset, args.frames, bar.update)
    rows = [
        (
            result.storage,
            f'{result.convert:.3f}',
            f'{format_size(round(result.size / result.convert))}/s',
            f'{result.plain:.3f}',
            f'{format_size(round(result.size / result.plain))}/s',
            f'{result.speed:.0%}',
        )
        for result in results
    ]
    print(
        f'{counted(results[0].scenes, "scene")}, {format_size(results[0].size)} of images, '
        f'medians of {counted(args.frames, "run")} [s]'
    )
    print(tabulate(rows, headers=('storage', 'convert', '', 'rosbags alone', '', 'speed'), disable_numparse=True))
    return {'bags': [{**dataclasses.asdict(result), 'speed': result.speed} for result in results]}
