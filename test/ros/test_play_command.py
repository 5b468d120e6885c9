"""``gdfusion play`` as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class

FRONT = '/CAM_FRONT/image/compressed'


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, '-m', 'gdfusion_ros', 'play', *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment.for_child())


def test_it_plays_to_the_end_and_says_how_much(drive: Path) -> None:
    with bag_reader(drive) as reader:
        count = reader.message_count
    process = start(str(drive), '--rate', '10', '--loop', '2')
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f'published {2 * count} messages' in out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_endless_loop_cleanly(drive: Path, wait_until: Callable[..., None], patience: float,
                                               number: int) -> None:
    heard: list[bytes] = []
    with ros_node('listener') as node:
        node.create_subscription(message_class('sensor_msgs/msg/CompressedImage'), FRONT, heard.append, qos.recording(),
                                 raw=True)
        with spinning(node):
            process = start(str(drive), '--loop', '--topics', FRONT, '--rate', '4', '--wait', f'{patience:g}')
            wait_until(lambda: len(heard) >= 5 or process.poll() is not None)
            process.send_signal(number)
            out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert 'published' in out
    assert 'Traceback' not in errors


@pytest.mark.parametrize(('arguments', 'said'), [
    (('/nope',), 'gdfusion play: no bag /nope'),
    (('{drive}', '--topics', '/nope'), 'gdfusion play: no topic /nope in'),
    (('{drive}', '--rate', '0'), '--rate: expected a number above 0, got 0'),
    (('{drive}', '--rate', 'fast'), '--rate: expected a number, got fast'),
    (('{drive}', '--loop', '1.5'), '--loop: expected a whole number from 1 on, got 1.5'),
])
def test_what_cannot_be_played_is_said_in_one_line(drive: Path, arguments: tuple[str, ...], said: str) -> None:
    process = start(*(argument.format(drive=drive) for argument in arguments))
    _, errors = process.communicate()
    assert process.returncode != 0
    assert said in errors
    assert 'Traceback' not in errors
