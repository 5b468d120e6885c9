"""The environment that rclpy starts in."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros.environment import _fallback_folder, for_child, isolate, own_domain, prepare

ONE_NODE = """
from gdfusion_ros.ros import environment
environment.prepare()
from gdfusion_ros.ros.context import ros_node
with ros_node('alone') as node:
    node.get_logger().info('alive')
"""


def test_ros_from_pip_is_found_after_a_sourced_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'share' / 'ament_index').mkdir(parents=True)
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    environment = {'HOME': str(tmp_path), 'AMENT_PREFIX_PATH': '/workspace'}
    prepare(environment)
    prepare(environment)
    assert environment['AMENT_PREFIX_PATH'] == f'/workspace{os.pathsep}{tmp_path}'


def test_a_home_that_can_be_written_keeps_the_log(tmp_path: Path) -> None:
    environment = {'HOME': str(tmp_path)}
    prepare(environment)
    assert not {'ROS_LOG_DIR', 'NUMBA_CACHE_DIR'} & set(environment)


def test_without_a_home_log_and_kernels_are_kept_elsewhere() -> None:
    environment = {'HOME': '/dev/null'}
    prepare(environment)
    assert not {'ROS_LOG_DIR', 'NUMBA_CACHE_DIR'} - set(environment)


def test_kernels_are_not_taken_from_a_folder_that_another_could_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    foreseen = tmp_path / f'gdfusion_ros-{os.getuid()}'
    for prepare_folder in (tmp_path.exists, lambda: foreseen.chmod(0o777)):
        prepare_folder()
        _fallback_folder.cache_clear()
        environment = {'HOME': '/dev/null'}
        prepare(environment)
        folder = Path(environment['NUMBA_CACHE_DIR']).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert Path(environment['ROS_LOG_DIR']).parent == folder
        assert (folder == foreseen) == (foreseen.stat().st_mode & 0o777 == 0o700)
    _fallback_folder.cache_clear()


@pytest.mark.parametrize('home', [{}, {'HOME': '/proc/none'}, {'ROS_HOME': '/dev/null/ros'}])
def test_a_process_without_a_home_starts_all_the_same(home: dict[str, str]) -> None:
    inherited = {name: value for name, value in for_child().items() if name not in ('HOME', 'ROS_LOG_DIR')}
    result = subprocess.run(
        [sys.executable, '-c', ONE_NODE], env=inherited | home, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert 'alive' in result.stdout + result.stderr


def test_a_child_sets_up_its_own_libraries() -> None:
    own = f'{sys.prefix}/lib{os.pathsep}{sys.prefix}/lib/python3.11/site-packages/ros_rcl.libs'
    child = for_child({'_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1', 'LD_LIBRARY_PATH': f'{own}{os.pathsep}/opt/cuda'})
    assert child == {'LD_LIBRARY_PATH': '/opt/cuda', 'PYTHONSAFEPATH': '1'}


@pytest.mark.skipif(sys.version_info < (3, 11), reason='Python 3.10 always looks into the current folder')
def test_a_child_takes_no_folder_for_the_package(tmp_path: Path) -> None:
    (tmp_path / 'gdfusion_ros').mkdir()
    said = subprocess.run(
        [sys.executable, '-m', 'gdfusion_ros', '--version'],
        cwd=tmp_path,
        env=for_child(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith('gdfusion ')


def test_the_libraries_of_a_sourced_installation_are_inherited() -> None:
    environment = {'LD_LIBRARY_PATH': '/opt/ros/jazzy/lib'}
    assert for_child(environment) == {**environment, 'PYTHONSAFEPATH': '1'}


@pytest.mark.parametrize('module', ['rclpy', 'gdfusion_ros.msg'])
def test_what_is_not_installed_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == module else found(name))
    with pytest.raises(GdfusionError, match=f"no Python module '{module}' here: .* pip install"):
        prepare({})


def test_ros_of_another_python_is_named(tmp_path: Path) -> None:
    sourced = tmp_path / 'rclpy'
    sourced.mkdir()
    sourced.joinpath('__init__.py').touch()
    sourced.joinpath('_rclpy_pybind11.cpython-39-x86_64-linux-gnu.so').touch()
    result = subprocess.run(
        [sys.executable, '-m', 'gdfusion_ros', 'node'],
        env=for_child() | {'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f'gdfusion node: {sourced} is of another Python')


def test_two_processes_of_one_number_get_domains_of_their_own() -> None:
    first, held = own_domain(4711)
    with held:
        second, other = own_domain(4711)
        with other:
            assert 1 <= first <= 100
            assert 1 <= second <= 100
            assert second != first
            given: dict[str, str] = {}
            isolate(given)
            assert int(given['ROS_DOMAIN_ID']) not in {first, second}


def test_the_users_domain_is_kept() -> None:
    environment = {'ROS_DOMAIN_ID': '7'}
    isolate(environment)
    assert environment == {'ROS_DOMAIN_ID': '7'}
