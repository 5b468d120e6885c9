"""Arguments that several verbs share, and the progress bar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from tqdm import tqdm

from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.settings import (
    ModelSettings,
    NodeSettings,
    PipelineSettings,
    TopicSettings,
    from_mapping,
    is_of_ros,
    records,
    suggestion,
)

S = TypeVar('S')


def progress(total: int | None, unit: str, description: str = '', *, scaled: bool = False,
             disable: bool = False) -> tqdm[Any]:
    """A progress bar with rate and remaining time; ``scaled`` writes large counts with k, M, G."""
    return tqdm(total=total, unit=unit, desc=description, unit_scale=scaled, dynamic_ncols=True, disable=disable)


def lines_above(bar: tqdm[Any]) -> Callable[[str], None]:
    """Writes lines to standard error, above a progress bar. What they quote may come from anybody."""
    return lambda line: bar.write(printable(line, LONGEST), file=sys.stderr)


def add_version_argument(parser: argparse._ActionsContainer) -> None:
    """``--version``, of the tables of a nuScenes folder."""
    parser.add_argument('--version', help='version of nuScenes, e.g. v1.0-mini; needed only where several are there')


def add_bag_arguments(group: argparse._ActionsContainer) -> None:
    """``--storage`` and ``--format`` of bags that are written."""
    group.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap', help='default: %(default)s')
    group.add_argument('--format', choices=('jazzy', 'humble'), default='jazzy',
                       help='oldest ROS distribution that shall read what is written (Humble and Iron cannot read the '
                       'newer metadata); default: %(default)s')


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--weights`` and the other fields of ModelSettings; what is not given is None."""
    group = parser.add_argument_group('network')
    for name, (default, record) in records(ModelSettings).items():
        flag = '--' + name.replace('_', '-')
        if isinstance(default, bool):
            group.add_argument(flag, action='store_true', default=None, help=record.description)
        elif isinstance(default, tuple):
            group.add_argument(flag, nargs='*', choices=record.choices,
                               help=f'{record.description} Default: {" ".join(default)}.')
        else:
            group.add_argument(flag, choices=record.choices or None,
                               help=f'{record.description} Default: {default or "none"}.')


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """``--params-file`` and ``--set``: the settings of the pipeline, as the node takes them."""
    group = parser.add_argument_group('pipeline')
    group.add_argument('--params-file', type=Path, help='YAML file of node parameters (config/occ.yaml).')
    group.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='overrides',
                       help='One setting, e.g. --set missing_camera=hold; may be repeated. The value is YAML. '
                       'Settings: ' + ', '.join([*records(PipelineSettings), *records(TopicSettings)]) + '.')


def model_settings(args: argparse.Namespace) -> ModelSettings:
    """The network that the command line asks for: defaults, then the parameter file (if the verb has one), then flags.

    Raises:
        GdfusionError: an unreadable file, or a value that its setting does not allow.
    """
    flags = {name: getattr(args, name) for name in records(ModelSettings) if getattr(args, name) is not None}
    return _merged(ModelSettings, _parameters(getattr(args, 'params_file', None)), flags)


def pipeline_settings(args: argparse.Namespace, **defaults: object) -> PipelineSettings:
    """Pipeline settings: defaults, then the verb's own, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    return _merged(PipelineSettings, defaults, _parameters(args.params_file), _overrides(args))


def topic_settings(args: argparse.Namespace) -> TopicSettings:
    """Topic settings: defaults, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    return _merged(TopicSettings, _parameters(args.params_file), _overrides(args))


def _merged(settings_type: type[S], *sources: Mapping[str, object]) -> S:
    """The settings of one class that the sources hold; a later source goes before an earlier one."""
    known = records(settings_type)
    return from_mapping(settings_type, {name: source[name] for source in sources for name in known if name in source})


@cache
def _parameters(path: Path | None) -> Mapping[str, object]:
    """What a ROS 2 parameter file gives the node, later lines before earlier ones; nothing without a file."""
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise GdfusionError(f'parameter file {path} cannot be read: {" ".join(str(error).split())}') from error
    sections = list(_sections(document)) if isinstance(document, dict) else []
    if not sections:
        raise GdfusionError(f"parameter file {path} has no 'ros__parameters'; see config/occ.yaml for the form")
    # Here, since it brings numpy and its threads, before which the node has to hold signals back.
    from gdfusion_ros.messages.bev import BevSettings
    from gdfusion_ros.messages.outputs import NODE_NAME

    values = {name: value for node, section in sections if node in (NODE_NAME, '*', '**')
              for name, value in section.items()}
    parts = (ModelSettings, PipelineSettings, TopicSettings, BevSettings, NodeSettings)
    known = [name for part in parts for name in records(part)]
    for name in values:
        if name not in known and not is_of_ros(name):
            print(f"{path}: unknown parameter '{printable(str(name), 80)}' is ignored{suggestion(str(name), known)}",
                  file=sys.stderr)
    return values


def _sections(document: Mapping[object, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The last name of every node of a parameter file, whose namespaces may be nested, and its parameters."""
    for key, value in document.items():
        if isinstance(value, dict) and key != 'ros__parameters':
            if isinstance(parameters := value.get('ros__parameters'), dict):
                yield str(key).rpartition('/')[2], parameters
            yield from _sections(value)


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
    except yaml.YAMLError as error:
        raise GdfusionError(f'--set {text}: the value is not YAML: {" ".join(str(error).split())}') from error


def _overrides(args: argparse.Namespace) -> Mapping[str, object]:
    """What ``--set`` says."""
    known = [*records(PipelineSettings), *records(TopicSettings)]
    values = dict(assignment(override) for override in args.overrides)
    for name in values:
        if name not in known:
            raise GdfusionError(f"--set {name}=…: unknown setting '{name}'; there are {', '.join(known)}")
    return values
