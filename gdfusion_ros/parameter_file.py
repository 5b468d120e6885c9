"""Files of ROS 2 parameters, read without ROS."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gdfusion_ros.errors import LONGEST, GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.settings import BevSettings, ModelSettings, NodeSettings, PipelineSettings, TopicSettings, records

_ANY = ('*', '**')


class _Loader(yaml.SafeLoader):
    """As safe as its base, which keeps the last of several equal keys and forgets the others."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[object, yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' is there a second time, after line "
                    f'{first[key.value].start_mark.line + 1}; put both together',
                    problem_mark=key.start_mark,
                )
        return super().construct_mapping(node, deep)


def read(path: Path) -> Mapping[str, object]:
    """What a parameter file gives the node, later lines before earlier ones.

    Unknown names are told on stderr, and that all of it is for other nodes.

    Raises:
        GdfusionError: it cannot be read, or has no parameters.
    """
    try:
        document = yaml.load(path.read_bytes(), _Loader)
        sections = list(_sections(document)) if isinstance(document, dict) else []
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise GdfusionError(f'parameter file {path} cannot be read: {" ".join(str(error).split())}') from error
    if not sections:
        raise GdfusionError(f"parameter file {path} has no 'ros__parameters'; see config/occ.yaml for the form")
    # Here, since it brings numpy and its threads, before which the node has to hold signals back.
    from gdfusion_ros.messages.outputs import NODE_NAME

    if not any(node in (NODE_NAME, *_ANY) for node, _ in sections):
        others = ', '.join(dict.fromkeys(node for node, _ in sections))
        print(
            printable(
                f"{path}: nothing of it is used, as it is for other nodes ({others}); this one is '{NODE_NAME}', "
                "and '/**' is any",
                LONGEST,
            ),
            file=sys.stderr,
        )
    values = {
        str(name): [] if value == [''] else value  # the empty list of ROS, which cannot tell the type of another one
        for node, section in sections
        if node in (NODE_NAME, *_ANY)
        for name, value in section.items()
    }
    known = names()
    for name in values:
        if name not in known and not is_of_ros(name):
            print(
                f"{path}: unknown parameter '{printable(name, 80)}' is ignored{suggestion(name, known)}",
                file=sys.stderr,
            )
    return values


def names() -> list[str]:
    """The names of the node's own parameters."""
    parts = (ModelSettings, PipelineSettings, TopicSettings, BevSettings, NodeSettings)
    return [name for part in parts for name in records(part)]


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to add to a line about an unknown ``name``: the known one that was likely meant, if there is one."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean '{close[0]}'?" if close else ''


def is_of_ros(parameter: str) -> bool:
    """Whether a parameter is one that ROS gives every node."""
    return parameter in ('use_sim_time', 'start_type_description_service') or parameter.startswith('qos_overrides.')


def _sections(document: Mapping[object, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The last name of every node of a parameter file, whose namespaces may be nested, and its parameters."""
    for key, value in document.items():
        if isinstance(value, dict) and key != 'ros__parameters':
            if isinstance(parameters := value.get('ros__parameters'), dict):
                yield str(key).rpartition('/')[2], parameters
            yield from _sections(value)
