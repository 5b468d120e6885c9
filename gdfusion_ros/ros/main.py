"""The process of the node."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import torch
from rclpy.executors import SingleThreadedExecutor

from gdfusion_ros.ros import parameters, shared_memory, signals
from gdfusion_ros.ros.context import ros_context, serve
from gdfusion_ros.ros.node import OccupancyNode


def run_node(overrides: Mapping[str, object], ros_arguments: Sequence[str]) -> int:
    """Run the node until SIGINT or SIGTERM, which ``signals.hold`` keeps waiting; returns the exit code.

    Args:
        overrides: Parameters by name.
        ros_arguments: What follows ``--ros-args`` on the command line.

    Raises:
        GdfusionError: a parameter or a ROS argument that is not allowed.
    """
    exit_code = 0
    stop = threading.Event()

    def fail() -> None:
        nonlocal exit_code
        exit_code = 1
        stop.set()

    overrides = parameters.checked_overrides(overrides)
    if signals.arrived():
        return 0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # here; the worker takes them all
    with ros_context(ros_arguments) as context:
        node = OccupancyNode(context, overrides, fail, stop.is_set, threads)
        try:
            if fault := shared_memory.shortage():
                node.get_logger().warning(fault)
            signals.on_stop(stop.set)
            if not node.start():
                return 0 if stop.is_set() else 1
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            serve(executor, stop)
        finally:
            node.close()
    return exit_code
