"""rclpy from its start to its end, for one process or a part of one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from gdfusion_ros.errors import GdfusionError

_LOOK_UP = 0.1
"""How often a thread that serves callbacks looks whether it shall stop while none is due [s]."""


@contextmanager
def ros_context(arguments: Sequence[str] = ()) -> Iterator[Context]:
    """rclpy, without signal handlers of its own, for the time of the ``with`` block.

    Args:
        arguments: What follows ``--ros-args`` on the command line.

    Raises:
        GdfusionError: rclpy refuses the arguments, or cannot start (no place for its log, for instance).
    """
    context = Context()
    try:
        context.init(['gdfusion', '--ros-args', *arguments] if arguments else ['gdfusion'])
    except (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError) as error:
        reason = re.sub(r', at /[^,]*:\d+', '', str(error))
        raise GdfusionError(f'ROS 2 cannot start: {reason}') from error
    try:
        yield context
    finally:
        context.try_shutdown()


@contextmanager
def ros_node(name: str) -> Iterator[Node]:
    """A plain node in a context of its own, for the time of the ``with`` block."""
    with ros_context() as context:
        node = Node(name, context=context, start_parameter_services=False)
        try:
            yield node
        finally:
            node.destroy_node()


def serve(executor: Executor, stop: threading.Event) -> None:
    """Serve callbacks until ``stop`` is set, or the context ends.

    Not ``spin_until_future_complete``: up to Kilted that leaves a function behind in the future with every callback.
    """
    while executor.context.ok() and not stop.is_set():
        executor.spin_once(_LOOK_UP)


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Serve the callbacks of ``node`` in a thread of its own.

    An error in a callback ends the thread and is raised at the end of the ``with`` block.
    """
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    stop = threading.Event()
    errors: list[Exception] = []

    def spin() -> None:
        try:
            serve(executor, stop)
        except Exception as error:  # noqa: BLE001 - handed over to the thread that owns the block
            errors.append(error)

    thread = threading.Thread(target=spin, name=node.get_name(), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        executor.shutdown()
    if errors:
        raise errors[0]
