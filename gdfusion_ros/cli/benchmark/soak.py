"""Whether a live node grows."""

from __future__ import annotations

import argparse
import os
from typing import Any

from gdfusion_ros.cli.common import counted, model_settings, progress, tell
from gdfusion_ros.model.runtime.backends import title_of
from gdfusion_ros.ros import environment
from gdfusion_ros.settings import model_arguments

_SETTLED = 1000  # camera sets, a quarter of which does not count


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Send synthetic camera sets.

    Raises:
        GdfusionError: memory, open files or threads grow.
    """
    environment.isolate(os.environ)
    environment.prepare()
    from gdfusion_ros.benchmark import soak

    settings = model_settings(args)
    with progress(args.frames, 'set') as bar:
        usage = soak.run(model_arguments(settings), args.frames, bar.update)
    growth = usage.growth()
    title = title_of(settings)
    print(
        f'{title} in a live node, after {counted(args.frames, "camera set")}: {usage.memory[-1]:.1f} MB allocated, '
        f'{usage.files[-1]} open files, {usage.threads[-1]} threads; growth with 1,000 sets, the first quarter left '
        'out: ' + ', '.join(f'{what} {more:+.3f}' for what, more in growth.items())
    )
    if args.frames < _SETTLED:
        tell(f'caches fill for hundreds of sets: what grows with {args.frames} may be one of them; --frames 1600 tells')
    soak.require_steady(growth)
    return {'model': title, 'sets': args.frames, 'growth': growth}
