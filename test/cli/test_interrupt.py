"""Ctrl-C at the beginning and at the end of a process: no traceback, whatever Python is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.ros.environment import for_child

INTERRUPT = """
import atexit, os, signal, sys

MOMENT = os.environ['MOMENT']

def interrupt():
    os.write(2, b'interrupted')
    os.kill(os.getpid(), signal.SIGINT)

def at_import(event, arguments, done=[]):
    if event == 'import' and arguments[0] == MOMENT and not done:
        done.append(True)
        interrupt()

if MOMENT == 'end':
    atexit.register(interrupt)
else:
    sys.addaudithook(at_import)
"""


def interrupted(tmp_path: Path, moment: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that sends itself SIGINT when it is about to import a module, or when Python ends."""
    (tmp_path / 'sitecustomize.py').write_text(INTERRUPT)
    environment = {**for_child(os.environ), 'PYTHONPATH': str(tmp_path), 'MOMENT': moment}
    return subprocess.run(
        [sys.executable, '-m', 'gdfusion_ros', *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize('module', ['gdfusion_ros.cli', 'argparse', 'gdfusion_ros.stopping'])
def test_before_there_is_a_command_line(tmp_path: Path, module: str) -> None:
    result = interrupted(tmp_path, module, 'info', '/nowhere')
    assert (result.returncode, result.stderr) == (-signal.SIGINT, 'interrupted')


@pytest.mark.parametrize('module', ['gdfusion_ros.cli.common', 'yaml', 'tqdm'])
def test_while_the_verbs_are_imported(tmp_path: Path, module: str) -> None:
    result = interrupted(tmp_path, module, 'info', '/nowhere')
    assert (result.returncode, result.stderr) == (130, 'interruptedgdfusion: stopped\n')


@pytest.mark.parametrize(
    ('module', 'arguments'),
    [
        ('numpy', ('info', '/nowhere')),
        ('torch', ('replay', '/nowhere', '--out', '/nowhere')),
        ('numba', ('replay', '/nowhere', '--out', '/nowhere')),
        ('gdfusion_ros.evaluation', ('evaluate', '/nowhere')),
    ],
)
def test_while_a_verb_imports_what_it_needs(tmp_path: Path, module: str, arguments: tuple[str, ...]) -> None:
    result = interrupted(tmp_path, module, *arguments)
    assert (result.returncode, result.stderr) == (130, f'interruptedgdfusion {arguments[0]}: stopped\n')


def test_while_python_ends(tmp_path: Path) -> None:
    result = interrupted(tmp_path, 'end', '--version')
    assert (result.returncode, result.stderr) == (-signal.SIGINT, 'interrupted')


@pytest.mark.parametrize('module', ['torch', 'rclpy'])
def test_the_node_ends_in_order_at_any_import(tmp_path: Path, module: str) -> None:
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    result = interrupted(tmp_path, module, 'node')
    assert (result.returncode, result.stderr) == (0, 'interrupted')


def test_an_interrupt_that_a_shell_ignores_is_ignored(tmp_path: Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text(INTERRUPT)
    environment = {**for_child(os.environ), 'PYTHONPATH': str(tmp_path), 'MOMENT': 'gdfusion_ros.cli'}
    result = subprocess.run(
        ['sh', '-c', 'trap "" INT; exec "$@"', 'sh', sys.executable, '-m', 'gdfusion_ros', '--version'],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, 'interrupted')
