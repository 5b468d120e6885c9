"""Arguments that several verbs share, and the progress bar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from gdfusion_ros import parameter_file
from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.settings import BevSettings, ModelSettings, PipelineSettings, TopicSettings, merged, records


def progress(
    total: int | None, unit: str, description: str = '', *, scaled: bool = False, disable: bool = False
) -> tqdm[Any]:
    """A progress bar with rate and remaining time; ``scaled`` writes large counts with k, M, G."""
    return tqdm(total=total, unit=unit, desc=description, unit_scale=scaled, dynamic_ncols=True, disable=disable)


def counted(count: int, noun: str) -> str:
    """``1 bag``, ``2 bags``."""
    return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def tell(line: str) -> None:
    """Write a line to standard error, above any progress bar. What it quotes may come from anybody."""
    tqdm.write(printable(line, LONGEST), file=sys.stderr)


def add_version_argument(parser: argparse._ActionsContainer) -> None:
    """``--version``, of the tables of a nuScenes folder."""
    parser.add_argument('--version', help='version of nuScenes, e.g. v1.0-mini; needed only where several are there')


def add_bag_arguments(group: argparse._ActionsContainer) -> None:
    """``--storage`` and ``--format`` of bags that are written."""
    group.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap', help='default: %(default)s')
    group.add_argument(
        '--format',
        choices=('jazzy', 'humble'),
        default='jazzy',
        help='oldest ROS distribution that shall read what is written (Humble and Iron cannot read the '
        'newer metadata); default: %(default)s',
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--weights`` and the other fields of ModelSettings; what is not given is None."""
    group = parser.add_argument_group('network')
    for name, (default, record) in records(ModelSettings).items():
        flag = '--' + name.replace('_', '-')
        if isinstance(default, bool):
            group.add_argument(flag, action='store_true', default=None, help=record.description)
        elif isinstance(default, tuple):
            group.add_argument(
                flag, nargs='*', choices=record.choices, help=f'{record.description} Default: {" ".join(default)}.'
            )
        else:
            group.add_argument(
                flag,
                choices=record.choices or None,
                help=record.description + (f' Default: {default}.' if default else ''),
            )


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """``--params-file`` and ``--set``: the settings of the pipeline, as the node takes them."""
    group = parser.add_argument_group('pipeline')
    group.add_argument('--params-file', type=Path, help='YAML file of node parameters (config/occ.yaml).')
    add_set_argument(
        group,
        'One setting, e.g. --set missing_camera=hold; may be repeated. The value is YAML. '
        'Settings: ' + ', '.join(_settable()) + '.',
    )


def add_set_argument(group: argparse._ActionsContainer, about: str) -> None:
    """``--set NAME=VALUE``, any number of them; ``assignment`` reads each."""
    group.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='overrides', help=about)


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """``--device``, of verbs that train."""
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:<index>. Default: auto.')


def model_settings(args: argparse.Namespace) -> ModelSettings:
    """The network that the command line asks for: defaults, then the parameter file (if the verb has one), then flags.

    Raises:
        GdfusionError: an unreadable file, or a value that its setting does not allow.
    """
    flags = {name: getattr(args, name) for name in records(ModelSettings) if getattr(args, name) is not None}
    return merged(ModelSettings, _file(getattr(args, 'params_file', None)), flags)


def model_flags(args: argparse.Namespace) -> list[str]:
    """The flags of ``add_model_arguments`` that were given, as another process takes them."""
    flags = []
    for name in records(ModelSettings):
        value = getattr(args, name)
        if value is not None:
            values = [] if value is True else value if isinstance(value, list) else [value]
            flags += ['--' + name.replace('_', '-'), *map(str, values)]
    return flags


def pipeline_settings(args: argparse.Namespace, **defaults: object) -> PipelineSettings:
    """Pipeline settings: defaults, then the verb's own, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    return merged(PipelineSettings, defaults, _file(args.params_file), _overrides(args))


def topic_settings(args: argparse.Namespace) -> TopicSettings:
    """Topic settings: defaults, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    return merged(TopicSettings, _file(args.params_file), _overrides(args))


def bev_settings(args: argparse.Namespace) -> BevSettings:
    """Settings of the bird's-eye view: defaults, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    return merged(BevSettings, _file(args.params_file), _overrides(args))


@cache
def _file(path: Path | None) -> Mapping[str, object]:
    """What the parameter file gives; read, and what is odd in it said, once for all settings."""
    return {} if path is None else parameter_file.read(path)


def assignment(text: str) -> tuple[str, object]:
    """Name and value of ``--set NAME=VALUE``; the value is YAML.

    Raises:
        GdfusionError: another form, or a value that is not YAML.
    """
    name, separator, value = text.partition('=')
    if not separator:
        raise GdfusionError(f'--set {text}: expected NAME=VALUE')
    try:
        return name, yaml.safe_load(value)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise GdfusionError(f'--set {text}: the value is not YAML: {" ".join(str(error).split())}') from error


def _settable() -> list[str]:
    return [name for part in (PipelineSettings, TopicSettings, BevSettings) for name in records(part)]


def _overrides(args: argparse.Namespace) -> Mapping[str, object]:
    """What ``--set`` says."""
    known = _settable()
    values = dict(assignment(override) for override in args.overrides)
    for name in values:
        if name not in known:
            raise GdfusionError(f"--set {name}=…: unknown setting '{name}'; there are {', '.join(known)}")
    return values
