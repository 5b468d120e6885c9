"""Steps of training, and how long they wait for data."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import training as benchmark
from gdfusion_ros.cli.common import counted, progress
from gdfusion_ros.cli.train import datasets
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.training import settings as training_settings


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Take the steps."""
    prepare_process()
    settings = training_settings.read(args.config, {'steps': args.frames + benchmark.WARM_UP})
    device = select_device(args.device or 'auto')
    with progress(settings.steps, 'step') as bar:
        result = benchmark.run(settings, datasets([args.nuscenes], args.version, args.scenes), device, bar.update)
    print(
        f'{result.model} on {result.device}, {counted(settings.slots, "slot")}, {counted(settings.workers, "worker")}, '
        f'{counted(result.steps, "step")}: {result.frames_per_second:.2f} frames/s, '
        f'{result.waiting:.1%} of the time spent waiting for data'
    )
    return dataclasses.asdict(result)
