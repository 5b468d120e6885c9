"""What a live node does besides the network, step by step."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import model_settings, progress
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.ros import environment


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each step, in time of the processor."""
    prepare_process()
    environment.prepare()
    from gdfusion_ros.benchmark import steps as benchmark

    network = load_network(model_settings(args))
    with progress(None, 'step') as bar:
        steps = list(benchmark.run(network, args.frames, bar.update))
    width, height = benchmark.SOURCE
    print(
        f'{network.title} on {network.device}, images of {width} x {height}, medians of {args.frames}: processor time'
    )
    rows = [
        (
            step.name,
            f'{1e3 * step.seconds:.2f}',
            str(step.times),
            f'{1e3 * step.seconds * step.times:.2f}',
            'always' if step.always else 'if subscribed to',
        )
        for step in steps
    ]
    print(columns(rows, 'step', 'ms', 'times a frame', 'ms a frame', 'when'))
    return {'model': network.title, 'steps': [dataclasses.asdict(step) for step in steps]}
