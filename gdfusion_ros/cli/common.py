"""Arguments that several verbs share, and the progress bar."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import ModelSettings, PipelineSettings, from_mapping, records


def progress(total: int, unit: str, description: str = '', *, scaled: bool = False) -> 'tqdm[Any]':
    """A progress bar with rate and remaining time; ``scaled`` writes large counts with k, M, G."""
    return tqdm(total=total, unit=unit, desc=description, unit_scale=scaled, dynamic_ncols=True)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--weights`` and the other fields of ModelSettings."""
    group = parser.add_argument_group('network')
    for name, (default, record) in records(ModelSettings).items():
        flag = '--' + name.replace('_', '-')
        if isinstance(default, bool):
            group.add_argument(flag, action='store_true', help=record.description)
        elif isinstance(default, tuple):
            group.add_argument(flag, nargs='*', default=default, choices=record.choices, help=record.description)
        else:
            group.add_argument(flag, default=default, choices=record.choices or None,
                               help=f'{record.description} Default: {default or "none"}.')


def model_settings(args: argparse.Namespace) -> ModelSettings:
    """The network that the command line asks for.

    Raises:
        GdfusionError: a value that its setting does not allow.
    """
    return from_mapping(ModelSettings, {name: getattr(args, name) for name in records(ModelSettings)})


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """``--params-file`` and ``--set``: the settings of the pipeline, as the node takes them."""
    group = parser.add_argument_group('pipeline')
    group.add_argument('--params-file', type=Path, help='YAML file of node parameters (config/occ.yaml).')
    group.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='overrides',
                       help='One setting, e.g. --set missing_camera=hold; may be repeated. The value is YAML. Settings: '
                       + ', '.join(records(PipelineSettings)) + '.')


def _parameters(path: Path) -> Mapping[str, object]:
    """The ``ros__parameters`` of the first node in a ROS 2 parameter file."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise GdfusionError(f'parameter file {path} cannot be read: {" ".join(str(error).split())}') from error
    sections = document.values() if isinstance(document, dict) else ()
    for section in sections:
        if isinstance(section, dict) and isinstance(section.get('ros__parameters'), dict):
            return section['ros__parameters']
    raise GdfusionError(f"parameter file {path} has no 'ros__parameters'; see config/occ.yaml for the form")


def pipeline_settings(args: argparse.Namespace, **defaults: object) -> PipelineSettings:
    """Pipeline settings: defaults, then the verb's own, then the parameter file, then ``--set``.

    Raises:
        GdfusionError: an unreadable file, an unknown name or a value that its setting does not allow.
    """
    values = {**asdict(PipelineSettings()), **defaults}
    if args.params_file is not None:
        file = _parameters(args.params_file)
        values.update({name: file[name] for name in records(PipelineSettings) if name in file})
    for override in args.overrides:
        name, separator, text = override.partition('=')
        if not separator:
            raise GdfusionError(f"--set {override}: expected NAME=VALUE")
        values[name] = yaml.safe_load(text)
    return from_mapping(PipelineSettings, values)
