"""The arguments of launch/occ.launch.py, looked at before anything is started."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from gdfusion_ros import parameter_file
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable
from gdfusion_ros.settings import ModelSettings, NodeSettings, PipelineSettings, merged


def parsed(name: str, text: str) -> object:
    """The value of an argument that is a parameter of the node.

    Raises:
        GdfusionError: it is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GdfusionError(f'{name}:={text}: the value is not YAML: {" ".join(str(error).split())}') from error


def check(values: Mapping[str, str], overrides: Mapping[str, object]) -> None:
    """Refuse what would end or hang later.

    Args:
        values: ``params_file``, ``bag``, ``rate`` and ``rviz`` as they were given.
        overrides: Parameters by name, which override those of the file.

    Raises:
        GdfusionError: a file or a ROS package that is not there, or a value that its parameter does not allow.
    """
    file, bag = Path(values['params_file']), values['bag']
    if not file.is_file():
        raise GdfusionError(f'params_file: there is no file {file}')
    _check_settings(parameter_file.read(file), overrides)
    if bag and not Path(bag).exists():
        raise GdfusionError(f'bag: there is no bag {bag}')
    _check_rate(values['rate'])
    if values['rviz'] == 'true':
        _require_package('rviz2', 'rviz:=true')
    if bag:
        _require_package('ros2bag', 'bag:=…')
        _require_package('ros2topic', 'bag:=…')


def not_taken(given: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """A line for each argument that was likely meant for the node and does not reach it; launch itself says nothing.

    Args:
        given: ``name:=value`` of the command line, among them what a launch file that includes this one takes.
        names: What this one takes.
    """
    known, parameters = sorted(names), parameter_file.names()
    for name in (printable(argument.partition(':=')[0], 80) for argument in given):
        if name in known:
            continue
        if name in parameters:
            yield f"{name}:=… is ignored: put the node's parameter '{name}' into a file, and give it as params_file:=…"
        elif hint := parameter_file.suggestion(name, known):
            yield f'{name}:=… is ignored{hint}'


def _check_settings(*sources: Mapping[str, object]) -> None:
    model, pipeline = merged(ModelSettings, *sources), merged(PipelineSettings, *sources)
    merged(NodeSettings, *sources)
    if len(pipeline.cameras) != len(PipelineSettings().cameras):
        # `ros2` runs in the Python of ROS, which does not see what pip installed into an environment. There the node,
        # which does, says what its network takes.
        with suppress(ModuleNotFoundError):
            from gdfusion_ros.model.runtime.backends import specification_of  # may bring torch: only where in doubt

            specification_of(model).require_cameras(pipeline.cameras)


def _check_rate(text: str) -> None:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise GdfusionError(f'rate: expected a number above 0, got {text}')


def _require_package(name: str, argument: str) -> None:
    try:
        get_package_prefix(name)
    except PackageNotFoundError as error:
        raise GdfusionError(
            f"{argument} needs the ROS 2 package '{name}', which is not installed here "
            f'(apt install ros-$ROS_DISTRO-{name})'
        ) from error
