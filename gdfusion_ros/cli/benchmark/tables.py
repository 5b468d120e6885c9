"""The reader of nuScenes' tables, over generated ones."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import dataset as benchmark
from gdfusion_ros.cli.common import counted


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Read them once."""
    result = benchmark.loading(args.share)
    print(
        f'{counted(result.scenes, "scene")}, {result.sample_data} rows of sample_data and ego_pose, '
        f'{result.annotations} annotations: read in {result.seconds:.1f} s '
        f'with a peak memory of {result.peak_memory / 1e9:.2f} GB'
    )
    return dataclasses.asdict(result)
