"""What remembering costs: queues of volumes against the network that fuses all into one."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from gdfusion_ros.benchmark import memory
from gdfusion_ros.cli.benchmark.columns import columns
from gdfusion_ros.cli.common import counted, model_settings, progress
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, BEVDETOCC_GF_SMALL
from gdfusion_ros.model.runtime.device import select_device
from gdfusion_ros.model.zoo import specification


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each in a process of its own; draw the figure that is asked for."""
    settings = model_settings(args)
    specs = {spec.name: spec for spec in (BEVDETOCC_GF, BEVDETOCC_GF_SMALL)}
    name = specification(settings.model or BEVDETOCC_GF.name).name
    if name not in specs:
        raise GdfusionError(f'model {name} has no sister that keeps its volumes; compare {" or ".join(specs)}')
    with progress(len(memory.LENGTHS) + 1, 'network') as bar:
        uses = memory.run(specs[name], args.frames, select_device(settings.device), bar.update)
    warm_up = f'{counted(args.frames, "frame")} after {memory.WARM_UP} that warm up'
    print(f'random weights, {warm_up}, each network in a process of its own')
    rows = [
        (
            use.model,
            use.length or 'all, fused',
            f'{use.state / 1e6:.1f}',
            f'{use.history / 1e6:.1f}',
            f'{use.growth / 1e6:.1f}',
            f'{use.peak_memory / 1e9:.2f}',
            f'{use.frame * 1e3:.0f}',
        )
        for use in uses
    ]
    print(columns(rows, 'model', 'remembers', 'state [MB]', 'history [MB]', 'growth [MB]', 'peak [GB]', 'ms'))
    print(memory.compared(uses))
    if args.figure is not None:
        memory.draw(uses, args.figure)
        print(f'figure in {args.figure}')
    return {'frames': args.frames, 'networks': [dataclasses.asdict(use) for use in uses]}
