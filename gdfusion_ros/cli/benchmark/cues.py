"""What the four fusions take of a frame, and what their gradients would take by autograd."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import cues
from gdfusion_ros.benchmark import network as benchmark
from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.zoo import load_network


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the fusions, then one gradient step of each."""
    prepare_process()
    network = load_network(model_settings(args))
    if missing := set(benchmark.FUSIONS) - set(network.spec.cues):
        raise GdfusionError(
            f'model {network.spec.name} runs without {", ".join(sorted(missing))}: all four cues are compared'
        )
    with progress(args.frames + 2 * cues.REPEATS, 'step') as bar:
        result = benchmark.run(network, args.frames, bar.update)
        costs = cues.gradients(network, bar.update)
    shares = [
        (name, f'{result.stages[name] * 1e3:.1f}', f'{result.stages[name] / result.frame:.1%}')
        for name in benchmark.FUSIONS
    ]
    shares.append(('all four', f'{result.fusion_share * result.frame * 1e3:.1f}', f'{result.fusion_share:.1%}'))
    print(
        f'{result.model} on {result.device}, '
        f'medians of {counted(result.frames, "frame")} of {result.frame * 1e3:.1f} ms'
    )
    print(columns(shares, 'fusion', 'ms', 'share'))
    steps = [
        (
            cost.cue,
            f'{cost.closed_form * 1e3:.1f}',
            f'{cost.autograd * 1e3:.1f}',
            f'{cost.autograd / cost.closed_form:.1f}',
            f'{cost.difference:.0e}',
        )
        for cost in costs
    ]
    print(columns(steps, 'gradient step', 'closed form [ms]', 'autograd [ms]', 'times', 'difference'))
    return {**dataclasses.asdict(result), 'gradients': [dataclasses.asdict(cost) for cost in costs]}
