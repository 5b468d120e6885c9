"""What `ros2 launch` refuses before it starts anything; launch itself is not needed for that."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.resources import resource
from gdfusion_ros.ros import launch_arguments
from gdfusion_ros.ros.launch_arguments import check, not_taken, parsed

VALUES = {'params_file': str(resource('config/occ.yaml')), 'bag': '', 'rate': '1.0', 'rviz': 'false'}
SEVEN = '[CAM_FRONT, A, B, C, D, E, F]'


def refuse_nothing(**given: str) -> None:
    check(
        {name: given.get(name, default) for name, default in VALUES.items()},
        {name: parsed(name, text) for name, text in given.items() if name not in VALUES},
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the ROS packages that are installed."""
    names: list[str] = []

    def prefix(package: str) -> str:
        if package not in names:
            raise PackageNotFoundError(package)
        return '/opt/ros'

    monkeypatch.setattr(launch_arguments, 'get_package_prefix', prefix)
    return names


def test_the_defaults_start(installed: list[str]) -> None:
    refuse_nothing()


def test_everything_together_starts(installed: list[str], tmp_path: Path) -> None:
    installed += ['rviz2', 'ros2bag', 'ros2topic']
    refuse_nothing(
        rviz='true',
        bag=str(tmp_path),
        rate='0.5',
        lossless='true',
        model='bevdetocc_gf_small',
        cameras='[CAM_FRONT, A, B, C, D, E]',
    )


@pytest.mark.parametrize(
    ('argument', 'value', 'message'),
    [
        ('params_file', '/none.yaml', 'params_file: there is no file /none.yaml'),
        ('params_file', str(resource('config/occ.rviz')), "has no 'ros__parameters'"),
        ('bag', '/none', 'bag: there is no bag /none'),
        ('rate', 'fast', 'rate: expected a number above 0, got fast'),
        ('rate', '0', 'rate: expected a number above 0, got 0'),
        ('rate', 'inf', 'rate: expected a number above 0, got inf'),
        ('bag', '/', "bag:=… needs the ROS 2 package 'ros2bag'"),
        ('rviz', 'true', "rviz:=true needs the ROS 2 package 'rviz2'"),
        ('cameras', '[A, B, C, D, E, F]', "'CAM_FRONT' is not among the cameras"),
        ('cameras', '[CAM_FRONT, A, A, B, C, D]', 'a name is there twice'),
        ('cameras', 'CAM_FRONT', "'cameras': expected a list of strings"),
        ('cameras', '[', r'cameras:=\[: the value is not YAML: [^\n]*$'),
        ('lossless', '7', "'lossless': expected true or false"),
        ('input_reliability', 'perhaps', "'input_reliability': expected one of best_effort, reliable"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(installed: list[str], argument: str, value: str, message: str) -> None:
    with pytest.raises(GdfusionError, match=message):
        refuse_nothing(**{argument: value})


def test_the_file_counts_too(installed: list[str], tmp_path: Path) -> None:
    file = tmp_path / 'one.yaml'
    file.write_text('occ: {ros__parameters: {cameras: [A], untrained: true, model: bevdetocc_gf_small}}')
    with pytest.raises(GdfusionError, match="'CAM_FRONT' is not among the cameras"):
        refuse_nothing(params_file=str(file))


def test_the_network_says_how_many_cameras_it_takes(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from gdfusion_ros.model import zoo

    entry = zoo.ZOO['bevdetocc_gf_small']
    for any_cameras in (True, False):
        small = dataclasses.replace(entry.spec, cameras=7, any_cameras=any_cameras)
        monkeypatch.setitem(zoo.ZOO, small.name, zoo.Entry(small, entry.build))
        refuse_nothing(cameras=SEVEN, model=small.name, untrained='true')
        if any_cameras:
            refuse_nothing(cameras='[CAM_FRONT]', model=small.name, untrained='true')
    one = "model bevdetocc_gf_small needs 7 cameras, but setting 'cameras' names 1: CAM_FRONT$"
    with pytest.raises(GdfusionError, match=one):
        refuse_nothing(cameras='[CAM_FRONT]', model=small.name, untrained='true')


def test_in_the_python_of_ros_the_number_of_cameras_is_left_to_the_node(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'gdfusion_ros.model.runtime.backends', None)
    refuse_nothing(cameras=SEVEN)


@pytest.mark.parametrize(
    ('argument', 'hint'),
    [
        ('weights:=bevdetocc_gf', ''),
        ('weight:=bevdetocc_gf', r"weight:=… is ignored; did you mean 'weights'\?"),
        ('bev_frame:=fixed', "bev_frame:=… is ignored: put the node's parameter 'bev_frame' into a file, .*"),
        ('slam:=true', ''),
    ],
)
def test_an_argument_that_launch_drops_is_remarked(argument: str, hint: str) -> None:
    lines = not_taken(['use_sim_time:=true', argument], [*VALUES, 'weights', 'use_sim_time'])
    assert re.fullmatch(hint, '\n'.join(lines))
