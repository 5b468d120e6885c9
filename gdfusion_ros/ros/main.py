"""The process of the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from rclpy.executors import SingleThreadedExecutor

from gdfusion_ros.model.runtime.process import compute_with, loading, thread_count
from gdfusion_ros.ros import parameters, shared_memory
from gdfusion_ros.ros.computing import end_process
from gdfusion_ros.ros.context import ros_context, serve
from gdfusion_ros.ros.node import OccupancyNode
from gdfusion_ros.ros.signals import StopRequest


def run_node(overrides: Mapping[str, object], ros_arguments: Sequence[str], stop: StopRequest) -> NoReturn:
    """Run the node until SIGINT, SIGTERM or SIGHUP, then end the process.

    Args:
        overrides: Parameters by name.
        ros_arguments: What follows ``--ros-args`` on the command line.
        stop: Made before anything else.

    Raises:
        GdfusionError: a parameter or a ROS argument that is not allowed.
    """
    exit_code = 0

    def fail() -> None:
        nonlocal exit_code
        exit_code = 1
        stop.event.set()

    overrides = parameters.checked_overrides(overrides)
    threads = thread_count()
    compute_with(1)  # here; the threads that compute take them all
    stop.defer()
    with ros_context(ros_arguments) as context:
        node = OccupancyNode(context, overrides, fail, stop.event.is_set, threads)
        try:
            for fault in filter(None, (shared_memory.shortage(), shared_memory.left_behind())):
                node.get_logger().warning(fault)
            with loading():
                started = node.start()
            if started:
                executor = SingleThreadedExecutor(context=context)
                executor.add_node(node)
                serve(executor, stop.event)
            elif not stop.event.is_set():
                exit_code = 1
        finally:
            node.close()
    end_process(exit_code)
