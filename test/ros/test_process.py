"""The node's process: how it ends, and what it says when it cannot start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.outputs import OCCUPANCY
from gdfusion_ros.ros import environment
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.process import EVERY_SET, node_process
from gdfusion_ros.ros.recorder import record

TRIAL = ('--untrained', '--model', 'gdfusion_nano', '--device', 'cpu')
STOPS = {signal.SIGINT, signal.SIGTERM}

Start = Callable[..., 'subprocess.Popen[bytes]']


def command(*arguments: str) -> list[str]:
    return [sys.executable, '-m', 'gdfusion_ros', 'node', *arguments]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a node, by a shell that does something before, whose output goes to the file ``log``."""
    processes = []

    def run(*arguments: str, shell: str = 'exec "$@"') -> subprocess.Popen[bytes]:
        with (tmp_path / 'log').open('wb') as log:
            processes.append(
                subprocess.Popen(
                    ['sh', '-c', shell, 'sh', *command(*arguments)], stdout=log, stderr=log, env=environment.for_child()
                )
            )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def holds_signals(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has blocked the stop signals, which is the first thing that it does (proc(5))."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    [signals] = re.findall(r'^SigBlk:\s*(\w+)', status, re.MULTILINE)
    blocked = int(signals, 16)
    return all(blocked >> (number - 1) & 1 for number in STOPS)


def has_loaded_ros(process: subprocess.Popen[bytes]) -> bool:
    return 'rclpy' in Path(f'/proc/{process.pid}/maps').read_text()


def assert_clean(process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.wait() == 0, log.read_text()
    assert 'Traceback' not in log.read_text()


@pytest.mark.parametrize(('number', 'moment'), [(signal.SIGINT, holds_signals), (signal.SIGTERM, has_loaded_ros)])
def test_a_signal_before_the_node_exists_ends_it(
    start: Start,
    tmp_path: Path,
    wait_until: Callable[..., None],
    number: int,
    moment: Callable[[subprocess.Popen[bytes]], bool],
) -> None:
    process = start(*TRIAL)
    wait_until(lambda: moment(process))
    process.send_signal(number)
    assert_clean(process, tmp_path / 'log')


@pytest.mark.parametrize('said', ['parameters:', 'active: waiting for'])
def test_signals_end_a_node_that_loads_or_waits(
    start: Start, tmp_path: Path, wait_until: Callable[..., None], said: str
) -> None:
    process = start(*TRIAL)
    wait_until(lambda: said in (tmp_path / 'log').read_text())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    assert_clean(process, tmp_path / 'log')


def test_a_signal_ends_a_node_at_work(drive: Path, tmp_path: Path, patience: float) -> None:
    arguments = (*TRIAL, *EVERY_SET)
    with (
        (tmp_path / 'log').open('wb') as log,
        node_process(arguments, log=log, timeout=patience) as process,
        record(tmp_path / 'grids', {'/occ/occupancy': OCCUPANCY.type_name}) as recorder,
    ):
        play([drive], Playback(rate=2, loops=2, wait=patience))
        assert recorder.wait_for('/occ/occupancy', 1, patience)
        process.send_signal(signal.SIGTERM)
        assert_clean(process, tmp_path / 'log')
    assert re.search(r'stopped: \d+ images, [1-6] sets, [1-6] grids', (tmp_path / 'log').read_text())


def test_a_node_in_the_background_of_a_shell_ends_too(
    start: Start, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """Shells make their background jobs ignore SIGINT."""
    process = start(*TRIAL, shell='trap "" INT; exec "$@"')
    wait_until(lambda: 'parameters:' in (tmp_path / 'log').read_text())
    process.send_signal(signal.SIGINT)
    assert_clean(process, tmp_path / 'log')


def test_without_a_home_kernels_are_kept_where_nobody_else_can_put_any(
    start: Start, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    temporary = tmp_path / 'tmp'
    foreseen = temporary / f'gdfusion_ros-{os.getuid()}'
    foreseen.mkdir(parents=True)
    foreseen.chmod(0o777)
    process = start('--set', 'autostart=false', shell=f'HOME=/dev/null TMPDIR={temporary} exec "$@"')
    wait_until(lambda: 'unconfigured' in (tmp_path / 'log').read_text())
    (own,) = (path for path in temporary.iterdir() if path != foreseen)
    assert own.stat().st_mode & 0o777 == 0o700
    assert list(foreseen.iterdir()) == []
    process.send_signal(signal.SIGINT)
    assert_clean(process, tmp_path / 'log')


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('--set', 'sync_tolerance=wide'), "setting 'sync_tolerance': expected a number, got 'wide'"),
        (('--set', 'chameras=[A]'), "unknown parameter 'chameras'; did you mean 'cameras'?"),
        (('--ros-args', '-p', 'max_hold:=long'), "setting 'max_hold': expected a number, got 'long'"),
        (('--params-file', '/nope.yaml'), 'no parameter file /nope.yaml'),
    ],
)
def test_what_is_not_allowed_ends_it_with_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = subprocess.run(
        command(*TRIAL, *arguments), env=environment.for_child(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert said in line


def test_what_cannot_be_configured_ends_it_with_one_error() -> None:
    result = subprocess.run(
        command('--model', 'bevdetocc_gf_small'),
        env=environment.for_child(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if '[ERROR]' in line or line.startswith('gdfusion node:')]
    assert len(errors) == 1
    assert 'needs weights' in errors[0]
    assert 'Traceback' not in result.stderr


def test_without_autostart_it_waits_to_be_configured(
    start: Start, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    process = start('--set', 'autostart=false')
    wait_until(lambda: 'unconfigured' in (tmp_path / 'log').read_text())
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert_clean(process, tmp_path / 'log')


def test_a_node_that_does_not_become_active_is_not_waited_for_in_vain(tmp_path: Path, patience: float) -> None:
    with (
        (tmp_path / 'log').open('wb') as log,
        pytest.raises(GdfusionError, match='ended with exit code 1; its own'),
        node_process(('--model', 'bevdetocc_gf_small'), log=log, timeout=patience),
    ):
        pass
