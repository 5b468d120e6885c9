"""Fast DDS's profile: which one is set, and whether the node has the memory that it asks for."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from gdfusion_ros.resources import resource
from gdfusion_ros.ros import shared_memory
from gdfusion_ros.ros.environment import for_child
from gdfusion_ros.ros.process import stop
from gdfusion_ros.ros.shared_memory import PROFILES, set_profile

SHORTAGE_OF_A_NODE = """
import re, sys, time
from gdfusion_ros.ros import environment, shared_memory
environment.prepare()
from gdfusion_ros.ros.context import ros_node
with ros_node('asked'):
    # Fast DDS maps the segment of another process when it hears it first.
    segment = re.compile('/dev/shm/(?:fastrtps|fastdds)_[0-9a-f]{16}')
    while len(set(segment.findall(open('/proc/self/maps').read()))) < int(sys.argv[1]):
        time.sleep(0.02)
    print('shortage:', shared_memory.shortage())
"""
NODE = (sys.executable, '-m', 'gdfusion_ros', 'node', '--set', 'autostart=false')


def installation(prefix: Path, needs: str) -> dict[str, str]:
    """The environment of a ROS 2 whose rmw_fastrtps_cpp was built with this package."""
    share = prefix / 'share' / 'rmw_fastrtps_cpp'
    share.mkdir(parents=True)
    (share / 'package.xml').write_text(f'<package format="3"><build_depend>{needs}</build_depend></package>')
    return {'AMENT_PREFIX_PATH': f'/workspace{os.pathsep}{prefix}'}


@pytest.mark.parametrize('fast_dds', PROFILES)
def test_each_fast_dds_gets_the_file_and_the_variable_that_it_takes(tmp_path: Path, fast_dds: str) -> None:
    environment = installation(tmp_path, fast_dds)
    before = dict(environment)
    set_profile(environment)
    variable, profile = PROFILES[fast_dds]
    assert environment == before | {variable: str(resource(profile))}


@pytest.mark.parametrize('variable', [variable for variable, _ in PROFILES.values()])
def test_a_profile_of_the_user_stays(tmp_path: Path, variable: str) -> None:
    environment = installation(tmp_path, 'fastdds') | {variable: '/mine.xml'}
    before = dict(environment)
    set_profile(environment)
    assert environment == before


def shortage(segments: int = 1, **given: str) -> str:
    """What a node in a process of its own says of its memory, once it has mapped so many segments."""
    inherited = {
        name: value
        for name, value in for_child().items()
        if name not in [variable for variable, _ in PROFILES.values()]
    }
    result = subprocess.run(
        [sys.executable, '-c', SHORTAGE_OF_A_NODE, str(segments)],
        env=inherited | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.rpartition('shortage: ')[2].strip()


@pytest.fixture
def start(tmp_path: Path, wait_until: Callable[..., None]) -> Iterator[Callable[[], tuple[Popen[bytes], str]]]:
    """Starts a node; the process and what it has said, once it waits."""
    processes: list[Popen[bytes]] = []

    def run() -> tuple[Popen[bytes], str]:
        log = tmp_path / f'log-{len(processes)}'
        with log.open('wb') as output:
            processes.append(Popen(NODE, stdout=output, stderr=output, env=for_child()))
        wait_until(lambda: 'unconfigured' in log.read_text())
        return processes[-1], log.read_text()

    yield run
    for process in processes:
        stop(process)


def test_our_profile_is_taken() -> None:
    assert shortage() == 'None'


@pytest.mark.parametrize('segments', [1, 2], ids=['alone', 'beside a node that has the memory'])
def test_a_profile_that_fast_dds_refuses_is_told(
    start: Callable[[], tuple[Popen[bytes], str]], tmp_path: Path, segments: int
) -> None:
    if segments == 2:
        start()
    profile = tmp_path / 'profile.xml'
    profile.write_text(resource('config/fastdds_profile.xml').read_text().replace('heartbeatPeriod', 'heartbeat'))
    given = dict.fromkeys([variable for variable, _ in PROFILES.values()], str(profile))
    line = shortage(segments, **given)
    assert line.startswith('Fast DDS has 0.5 MB of shared memory instead of the 134.2 MB of ')
    assert str(profile) in line


def test_memory_that_the_system_does_not_have_is_told(tmp_path: Path) -> None:
    profile = tmp_path / 'profile.xml'
    profile.write_text(resource('config/fastdds_profile.xml').read_text().replace('134217728', str(10**15)))
    environment = {'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile)}
    assert '--shm-size' in str(shared_memory.shortage(environment))
    assert shared_memory.shortage(environment | {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}) is None


@pytest.mark.parametrize(
    'text', [None, 'not XML', '<dds/>', '<dds xmlns="urn:x"><segment_size>many</segment_size></dds>']
)
def test_a_profile_that_asks_for_nothing_is_no_fault(tmp_path: Path, text: str | None) -> None:
    profile = tmp_path / 'profile.xml'
    if text is not None:
        profile.write_text(text)
    assert shared_memory.shortage({'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile)}) is None


@pytest.fixture
def segment(start: Callable[[], tuple[Popen[bytes], str]]) -> Iterator[Path]:
    """What a node that was killed has left."""
    process, _ = start()
    found = re.findall(
        r'/dev/shm/fast(?:rtps|dds)_[0-9a-f]{16}$', Path(f'/proc/{process.pid}/maps').read_text(), re.MULTILINE
    )
    largest = max(map(Path, found), key=lambda path: path.stat().st_size)
    process.kill()
    process.wait()
    yield largest
    for name in found:
        Path(name).unlink()
        Path(f'{name}_el').unlink()


def test_a_node_says_what_another_left_when_it_was_killed(
    start: Callable[[], tuple[Popen[bytes], str]], segment: Path, tmp_path: Path
) -> None:
    _, log = start()
    assert re.search(r"/dev/shm holds \d+ MB of \d+ ROS processes that were killed: 'fastdds shm clean' removes", log)
    shutil.copyfile(segment, tmp_path / segment.name)
    lock = tmp_path / f'{segment.name}_el'
    lock.touch()
    assert str(shared_memory.left_behind(tmp_path)).startswith(f'{tmp_path} holds 141 MB of 1 ROS processes')
    with lock.open('rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as its owner does
        assert shared_memory.left_behind(tmp_path) is None
    os.truncate(tmp_path / segment.name, 549_408)
    assert shared_memory.left_behind(tmp_path) is None, 'no more than any tool leaves'
