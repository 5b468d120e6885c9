"""Files of ROS 2 parameters, read without ROS."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.settings import (
    BevSettings,
    ModelSettings,
    NodeSettings,
    PipelineSettings,
    TopicSettings,
    is_of_ros,
    records,
    suggestion,
)


def read(path: Path) -> Mapping[str, object]:
    """What a parameter file gives the node, later lines before earlier ones; unknown names are told on stderr.

    Raises:
        GdfusionError: it cannot be read, or has no parameters.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise GdfusionError(f'parameter file {path} cannot be read: {" ".join(str(error).split())}') from error
    sections = list(_sections(document)) if isinstance(document, dict) else []
    if not sections:
        raise GdfusionError(f"parameter file {path} has no 'ros__parameters'; see config/occ.yaml for the form")
    # Here, since it brings numpy and its threads, before which the node has to hold signals back.
    from gdfusion_ros.messages.outputs import NODE_NAME

    values = {
        name: [] if value == [''] else value  # the empty list of ROS, which cannot tell the type of another one
        for node, section in sections
        if node in (NODE_NAME, '*', '**')
        for name, value in section.items()
    }
    parts = (ModelSettings, PipelineSettings, TopicSettings, BevSettings, NodeSettings)
    known = [name for part in parts for name in records(part)]
    for name in values:
        if name not in known and not is_of_ros(name):
            print(
                f"{path}: unknown parameter '{printable(str(name), 80)}' is ignored{suggestion(str(name), known)}",
                file=sys.stderr,
            )
    return values


def _sections(document: Mapping[object, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The last name of every node of a parameter file, whose namespaces may be nested, and its parameters."""
    for key, value in document.items():
        if isinstance(value, dict) and key != 'ros__parameters':
            if isinstance(parameters := value.get('ros__parameters'), dict):
                yield str(key).rpartition('/')[2], parameters
            yield from _sections(value)
