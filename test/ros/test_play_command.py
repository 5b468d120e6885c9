"""``gdfusion play`` as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import yaml

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class

FRONT = '/CAM_FRONT/image/compressed'


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', 'gdfusion_ros', 'play', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment.for_child(),
    )


def test_it_plays_to_the_end_and_says_how_much(drive: Path) -> None:
    with bag_reader(drive) as reader:
        count = reader.message_count
    process = start(str(drive), '--rate', '10', '--loop', '2')
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f'published {2 * count} messages' in out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_endless_loop_cleanly(
    drive: Path, wait_until: Callable[..., None], patience: float, number: int
) -> None:
    heard: list[bytes] = []
    with ros_node('listener') as node:
        node.create_subscription(
            message_class('sensor_msgs/msg/CompressedImage'), FRONT, heard.append, qos.recording(), raw=True
        )
        with spinning(node):
            process = start(str(drive), '--loop', '--topics', FRONT, '--rate', '4', '--wait', f'{patience:g}')
            wait_until(lambda: len(heard) >= 5 or process.poll() is not None)
            process.send_signal(number)
            out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert 'published' in out
    assert 'Traceback' not in errors


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('/nope',), 'gdfusion play: no bag /nope'),
        (('{drive}', '--topics', '/nope'), 'gdfusion play: no topic /nope in'),
        (('{drive}', '--rate', '0'), '--rate: expected a number above 0, got 0'),
        (('{drive}', '--rate', 'fast'), '--rate: expected a number, got fast'),
        (('{drive}', '--loop', '1.5'), '--loop: expected a whole number from 1 on, got 1.5'),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(drive: Path, arguments: tuple[str, ...], said: str) -> None:
    process = start(*(argument.format(drive=drive) for argument in arguments))
    _, errors = process.communicate()
    assert process.returncode != 0
    assert said in errors
    assert 'Traceback' not in errors


# A listener that is stopped as by a debugger, and a player that would wait for it for ten minutes.
FROZEN = """
import sys
from sensor_msgs.msg import CompressedImage
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.context import ros_node, spinning
with ros_node('frozen') as node:
    node.create_subscription(CompressedImage, sys.argv[1], lambda _: print('heard', flush=True), qos.recording())
    with spinning(node):
        print('ready', flush=True)
        sys.stdin.read()
"""
PATIENT = """
import sys
from gdfusion_ros.cli import main
from gdfusion_ros.ros import player
player._ACKNOWLEDGEMENTS = 600
finish = player.Player.finish
def told(self, seconds):
    print('waiting', flush=True)
    return finish(self, seconds)
player.Player.finish = told
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_ends_the_wait_for_a_listener_that_is_frozen(drive: Path) -> None:
    """It returns at all, long before the ten minutes, and says that all was published."""

    def process(program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, '-c', program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment.for_child(),
        )

    listener = process(FROZEN, FRONT)
    assert listener.stdout is not None
    assert listener.stdout.readline() == 'ready\n'
    player = process(PATIENT, 'play', str(drive), '--topics', FRONT, '--rate', '0.2', '--wait', '600')
    assert player.stdout is not None
    try:
        assert listener.stdout.readline() == 'heard\n'
        listener.send_signal(signal.SIGSTOP)
        assert player.stdout.readline() == 'waiting\n'
        player.send_signal(signal.SIGINT)
        out, errors = player.communicate()
    finally:
        listener.kill()
        listener.communicate()
    assert (player.returncode, out) == (0, 'published 3 messages\n')
    assert 'Traceback' not in errors
    assert 'not acknowledged' not in errors


def test_a_signal_before_the_end_shows_in_the_exit_code(drive: Path, wait_until: Callable[..., None]) -> None:
    with bag_reader(drive) as reader:
        count = reader.message_count
    heard: list[bytes] = []
    with ros_node('listener') as node:
        node.create_subscription(
            message_class('tf2_msgs/msg/TFMessage'), '/tf_static', heard.append, qos.latched(), raw=True
        )
        with spinning(node):
            process = start(str(drive), '--rate', '0.001')  # the last message is due in twenty minutes
            wait_until(lambda: heard or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate()
    assert process.returncode == 130
    assert re.fullmatch(rf'published \d+ messages of {count}\n', out), out + errors


def test_fewer_messages_than_promised_are_an_error(drive: Path, tmp_path: Path) -> None:
    copytree(drive, tmp_path / 'bag')
    metadata = tmp_path / 'bag' / 'metadata.yaml'
    content = yaml.safe_load(metadata.read_text())
    for row in content['rosbag2_bagfile_information']['topics_with_message_count']:
        row['message_count'] += row['topic_metadata']['name'] == FRONT
    metadata.write_text(yaml.safe_dump(content))
    process = start(str(tmp_path / 'bag'), '--rate', '100')
    _, errors = process.communicate()
    assert process.returncode == 1
    assert f'gdfusion play: bag {tmp_path / "bag"} says that it has 4 messages on {FRONT}' in errors
    assert 'Traceback' not in errors
