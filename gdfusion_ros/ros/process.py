"""The node as a child process, for what starts one itself: the demo, the measurement of latency, the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.node import Node

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros import environment
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.stall import Stall, processor_time

EVERY_SET = ('--set', 'lossless=true', '--set', 'keyframe_interval=0.0', '--set', 'input_reliability=reliable')
"""Arguments of ``gdfusion node`` with which no set is left out: to keep up, between key frames, or lost by DDS."""

_STOP_TIMEOUT = 60.0


@contextmanager
def node_process(
    arguments: Sequence[str], *, name: str = '/occ', timeout: float = 120.0, log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """``gdfusion node ARGUMENTS`` in a process of its own, active at the start of the ``with`` block, then stopped.

    Args:
        arguments: Of ``gdfusion node``.
        name: Full name of the node.
        timeout: How long it may compute nothing before it is active [s].
        log: Where its output goes; None: to this process's stderr.

    Raises:
        GdfusionError: it ended by itself, or does not become active.
    """
    output = log if log is not None else sys.stderr.fileno()
    process = subprocess.Popen(
        [sys.executable, '-m', 'gdfusion_ros', 'node', *arguments],
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        env=environment.for_child(),
    )
    try:
        with ros_node('gdfusion_watch') as node, spinning(node):
            _wait_until_active(node, name, process, timeout)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End the node by SIGINT, as Ctrl-C does, or by force where that takes too long; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _wait_until_active(node: Node, name: str, process: subprocess.Popen[bytes], timeout: float) -> None:
    client = node.create_client(GetState, f'{name}/get_state')
    stall = Stall(timeout, processor_time(process.pid))
    while not stall:
        if process.poll() is not None:
            raise GdfusionError(f'the node ended with exit code {process.returncode}; its own lines say why')
        if client.wait_for_service(0.1):
            answer = client.call_async(GetState.Request())
            while not answer.done() and process.poll() is None and not stall:
                time.sleep(0.01)
            if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                return
            time.sleep(0.05)
    raise GdfusionError(
        f'the node {name} is not active, and has computed nothing for {timeout:g} s; its own lines say why'
    )
