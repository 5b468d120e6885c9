"""``gdfusion VERB``: parses, calls one function, prints.

Each verb is a module of this package with ``HELP``, ``add_arguments(parser)`` and ``run(args) -> exit code``.
"""

from __future__ import annotations

import argparse
import importlib
import io
import signal
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path

from gdfusion_ros import __version__
from gdfusion_ros.cli.pipes import open_missing, silence_unread
from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.model.runtime.process import wait_briefly
from gdfusion_ros.names import printable
from gdfusion_ros.stopping import stop_signals

VERBS = (
    'demo',
    'synthesize',
    'convert',
    'info',
    'play',
    'node',
    'replay',
    'fleet',
    'evaluate',
    'render',
    'view',
    'train',
    'ablate',
    'quantize',
    'models',
    'weights',
    'export',
    'benchmark',
)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a verb's description, and breaks none at a hyphen: 'gdfusion-ros[page]' is to be copied."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14  # of the longest verb: argparse forgets that verbs are indented

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(' '.join(text.split()), width, break_on_hyphens=False)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog='gdfusion',
        description='Dense semantic 3-D occupancy from surround cameras: GDFusion (CVPR 2025) for ROS 2.',
        epilog="Begin with 'gdfusion demo'. 'gdfusion VERB --help' explains a verb, with examples.",
        formatter_class=_HelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'gdfusion {__version__}')
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    for name in VERBS:
        module = importlib.import_module(f'gdfusion_ros.cli.{name}')
        verb = verbs.add_parser(name, help=module.HELP, description=module.__doc__, formatter_class=_HelpFormatter)
        verb.add_argument('--verbose', action='store_true', help='show the traceback of an error')
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def _prepare_process() -> None:
    open_missing()
    wait_briefly()  # some verbs load torch before they know that they will compute
    if threading.current_thread() is threading.main_thread():
        # So that an end by the system or the terminal cleans up as Ctrl-C does.
        for number in stop_signals() - {signal.SIGINT}:
            signal.signal(number, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and messages may have letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors='backslashreplace')


def _require_folder() -> None:
    """Say that the shell is in a folder that is gone: names mean nothing there, and MKL ends the process."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise GdfusionError('the current folder was removed; change into one that is there') from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code."""
    verb, verbose = 'gdfusion', False
    try:
        try:
            _prepare_process()
            args = build_parser().parse_args(argv)
            verb, verbose = f'gdfusion {args.verb}', args.verbose
            _require_folder()
            return int(args.run(args))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not silence_unread():
            raise
        return 128 + signal.SIGPIPE
    except GdfusionError as error:
        if verbose:
            raise
        print(f'{verb}: {error}', file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if verbose:
            raise
        print(
            f"{verb}: there is no Python module '{error.name}' here: activate the environment that the package's "
            'libraries are installed in (in every terminal), or install it with pip',
            file=sys.stderr,
        )
        return 1
    except OSError as error:  # of a file or folder that nobody expected to be out of reach: a name, a right, a disk
        if verbose:
            raise
        print(f"{verb}: {printable(str(error), LONGEST)}; '--verbose' shows where", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(' '.join((f'{verb}: stopped', *map(str, stop.args))), file=sys.stderr)
        return 130
