"""The live node over DDS, from the last image of a set to the published grid."""

from __future__ import annotations

import argparse
import os
from typing import Any

from tabulate import tabulate

from gdfusion_ros.bags.recording import percentiles
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.model.runtime.backends import title_of
from gdfusion_ros.ros import environment
from gdfusion_ros.settings import model_arguments


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Play the bag to a node."""
    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros.benchmark import latency

    settings = model_settings(args)
    with progress(args.frames + 1, 'frame') as bar:
        measured = latency.run(args.bag, model_arguments(settings), args.frames, bar.update)
    stages = measured.stages
    rest = {name: times for name, times in stages.items() if name != 'network'}
    rows = [*percentiles(stages), ('total less network', *percentiles(rest)[-1][1:])]
    title = title_of(settings)
    print(
        f'{title} in a live node, {counted(args.frames, "camera set")} of {args.bag}: '
        'ms from the last image to the grid'
    )
    print(tabulate(rows, headers=('stage', 'median', '95 %', 'worst'), floatfmt='.1f'))
    print(f'from the start of the node to its first grid: {measured.start:.1f} s')
    return {
        'model': title,
        'frames': args.frames,
        'start': measured.start,
        'milliseconds': {name: dict(zip(('median', '95 %', 'worst'), row, strict=True)) for name, *row in rows},
    }
