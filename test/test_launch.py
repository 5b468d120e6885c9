"""launch/occ.launch.py: its arguments, and the processes that it starts."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.resources import resource
from gdfusion_ros.ros import launch_arguments
from gdfusion_ros.ros.shared_memory import PROFILES
from gdfusion_ros.settings import ModelSettings, NodeSettings, PipelineSettings, records

LAUNCH_FILE = resource('launch/occ.launch.py')
PARAMETERS = ('model', 'weights', 'untrained', 'device', 'cameras', 'lossless', 'input_reliability')
OTHERS = ('params_file', 'namespace', 'rviz', 'bag', 'rate', 'use_sim_time')


def constant(name: str) -> ast.expr:
    """What a constant of the launch file is made of; no part of ROS is needed to read it."""
    for statement in ast.parse(LAUNCH_FILE.read_text()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target = statement.targets[0].id
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            target = statement.target.id
        else:
            continue
        if target == name and statement.value is not None:
            return statement.value
    raise LookupError(name)


def test_arguments_are_parameters_of_the_node_and_the_documented_others() -> None:
    parameters = ast.literal_eval(constant('PARAMETERS'))
    others = constant('ARGUMENTS')
    assert isinstance(others, ast.Dict)
    assert parameters == PARAMETERS
    assert set(parameters) <= {*records(ModelSettings), *records(PipelineSettings), *records(NodeSettings)}
    assert tuple(ast.literal_eval(key) for key in others.keys if key) == OTHERS


def test_the_files_that_it_names_exist() -> None:
    names = [
        call.args[0]
        for call in ast.walk(ast.parse(LAUNCH_FILE.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == 'resource'
    ]
    assert {resource(ast.literal_eval(name)).name for name in names} == {'occ.yaml', 'occ.rviz'}


@pytest.fixture
def launch_file() -> ModuleType:
    """The launch file as a module; skipped where ROS 2's launch is not installed, as it is not on PyPI."""
    pytest.importorskip('launch_ros.actions', reason="ROS 2's launch_ros is not installed")
    spec = importlib.util.spec_from_file_location('occ_launch', LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(launch_file: ModuleType, **given: str) -> list[Any]:
    """What the launch file starts with these arguments."""
    from launch import LaunchContext

    context = LaunchContext()
    for argument in launch_file.generate_launch_description().get_launch_arguments():
        value = given.get(argument.name, ''.join(part.perform(context) for part in argument.default_value))
        context.launch_configurations[argument.name] = value
    return list(launch_file.start(context))


def executables(entities: list[Any]) -> list[str]:
    """The names of the ROS nodes among what is started."""
    from launch_ros.actions import Node

    return [entity.node_executable for entity in entities if isinstance(entity, Node)]


def commands(entities: list[Any]) -> list[list[str]]:
    """The command lines of the plain processes among what is started, in their order."""
    from launch import LaunchContext
    from launch.actions import ExecuteProcess, RegisterEventHandler
    from launch_ros.actions import Node

    context = LaunchContext()
    handlers = [entity.event_handler for entity in entities if isinstance(entity, RegisterEventHandler)]
    then = [entity for handler in handlers for entity in handler.describe()[1]]
    return [
        [''.join(part.perform(context) for part in word) for word in entity.cmd]
        for entity in (*entities, *then)
        if isinstance(entity, ExecuteProcess) and not isinstance(entity, Node)
    ]


def test_every_argument_is_described(launch_file: ModuleType) -> None:
    arguments = {
        argument.name: argument.description
        for argument in launch_file.generate_launch_description().get_launch_arguments()
    }
    assert tuple(arguments) == (*PARAMETERS, *OTHERS)
    assert all(arguments.values())


def test_starts_the_node_alone_unless_asked_for_more(launch_file: ModuleType) -> None:
    entities = started(launch_file)
    assert executables(entities) == ['occ']
    assert commands(entities) == []


def test_starts_rviz_and_the_bag_after_the_node_is_active(
    launch_file: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_arguments, 'get_package_prefix', lambda package: '/opt/ros')
    entities = started(launch_file, rviz='true', bag=str(tmp_path), rate='0.5', namespace='car')
    from launch.logging import launch_config

    active, play = commands(entities)
    shown = yaml.safe_load(Path(launch_config.log_dir, 'occ.rviz').read_text())
    assert shown['Visualization Manager']['Global Options']['Fixed Frame'] == 'map'
    assert executables(entities) == ['occ', 'rviz2']
    assert '/car/occ/label_info' in active
    assert play[:4] == ['ros2', 'bag', 'play', str(tmp_path)]
    assert play[play.index('--rate') + 1] == '0.5'
    assert '--clock' in play
    assert int(play[play.index('--wait-for-all-acked') + 1]) > 0, 'its end would take away what is on its way'


def test_what_cannot_work_is_refused_before_anything_is_started(launch_file: ModuleType) -> None:
    with pytest.raises(GdfusionError, match="'CAM_FRONT' is not among the cameras"):
        started(launch_file, cameras='[CAM_BACK]')


def test_sets_the_dds_profile_unless_the_user_has_one(launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {variable for variable, _ in PROFILES.values()}
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    assert variables & {action.name[0].text for action in launch_file.environment()}
    monkeypatch.setenv(min(variables), '/home/user/profile.xml')
    assert not variables & {action.name[0].text for action in launch_file.environment()}


@pytest.mark.parametrize('code', [0, 1, -9])
def test_the_launch_fails_with_the_node(launch_file: ModuleType, code: int) -> None:
    from launch import LaunchContext
    from launch.actions import Shutdown

    ended, context = SimpleNamespace(returncode=code), LaunchContext()
    if code:
        with pytest.raises(GdfusionError, match=f'exit code {code}$'):
            launch_file.end(ended, context)
    else:
        assert [type(action) for action in launch_file.end(ended, context)] == [Shutdown]
    context._set_is_shutdown(True)
    assert launch_file.end(ended, context) == []


def test_a_bag_that_cannot_be_played_ends_the_launch(launch_file: ModuleType) -> None:
    from launch import LaunchContext

    context = LaunchContext()
    assert launch_file.played(SimpleNamespace(returncode=0), context) == []
    with pytest.raises(GdfusionError, match=r'^ros2 bag play has ended with exit code 1$'):
        launch_file.played(SimpleNamespace(returncode=1), context)
    context._set_is_shutdown(True)
    assert launch_file.played(SimpleNamespace(returncode=1), context) == []
