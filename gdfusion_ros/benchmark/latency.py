"""How long the live node takes from the last image of a set to its published grid, over DDS."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node

from gdfusion_ros.bags.reader import BagReader, bag_reader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.outputs import NODE_NAME, OCCUPANCY
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.clock import NoClock
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.outputs import LATENCY_TOPIC
from gdfusion_ros.ros.player import Event, Player, select_topics
from gdfusion_ros.ros.process import EVERY_SET, node_process
from gdfusion_ros.ros.timing import STAGES

_NODE = f'/{NODE_NAME}'
_PAUSE = 0.2
"""A longer time without a message separates camera sets [s]."""
_TIMEOUT = 120.0


@dataclass(frozen=True, eq=False)
class Latency:
    """What was measured.

    Attributes:
        stages: milliseconds that each of timing.STAGES took, one value a frame.
        start: seconds from the start of the node's process to its first grid.
    """

    stages: dict[str, NDArray[np.float64]]
    start: float


def run(
    bag: Path, node_arguments: Sequence[str], frames: int, on_frame: Callable[[], object] = lambda: None
) -> Latency:
    """Play the camera sets of ``bag`` one by one to a node process of its own.

    The images of a set come at their recorded pace, the next set when the grid of the one before is there: what is
    measured is the way of one set, not a queue before a network that is slower than the cameras. A first frame, which
    is not counted, warms up.

    Args:
        bag: With pauses between its camera sets, as a conversion of key frames has.
        node_arguments: Of ``gdfusion node``: the network and its weights.
        frames: How many to measure; the bag is repeated as needed.
        on_frame: Called after each, the first one included.

    Raises:
        GdfusionError: the bag cannot be played, or the node fails or does not answer.
    """
    begin = time.monotonic()
    with (
        bag_reader(bag) as reader,
        node_process([*node_arguments, *EVERY_SET], name=_NODE, timeout=_TIMEOUT),
        ros_node('gdfusion_latency') as node,
    ):
        measured = _subscribe(node)
        player = Player(node, select_topics([reader]))
        with spinning(node):
            player.wait_for_subscribers(_TIMEOUT)
            rows = []
            for camera_set in itertools.islice(itertools.cycle(_camera_sets(reader)), frames + 1):
                player.play(camera_set, 1.0, NoClock())
                rows.append(_next(measured, bag))
                if len(rows) == 1:
                    start = time.monotonic() - begin
                on_frame()
    return Latency({stage: np.array([row[stage] for row in rows[1:]]) for stage in STAGES}, start)


def _subscribe(node: Node) -> queue.SimpleQueue[dict[str, float]]:
    """The stages of each frame [ms], as they come; the grids are received, too, so that they are made."""
    measured: queue.SimpleQueue[dict[str, float]] = queue.SimpleQueue()

    def take(message: DiagnosticArray) -> None:
        measured.put({pair.key: float(pair.value) for pair in message.status[0].values})

    node.create_subscription(DiagnosticArray, f'{_NODE}/{LATENCY_TOPIC}', take, qos.events())
    node.create_subscription(
        message_class(OCCUPANCY.type_name), f'{_NODE}/{OCCUPANCY.topic}', lambda _: None, qos.recording(), raw=True
    )
    return measured


def _next(measured: queue.SimpleQueue[dict[str, float]], bag: Path) -> dict[str, float]:
    try:
        return measured.get(timeout=_TIMEOUT)
    except queue.Empty:
        raise GdfusionError(
            f'the node made no grid of a camera set of {bag} within {_TIMEOUT:g} s; its own lines say why'
        ) from None


def _camera_sets(reader: BagReader) -> list[list[Event]]:
    """The messages of a bag, separated where it pauses, due as they were recorded."""
    sets: list[list[Event]] = []
    last = None
    for message in reader.raw_messages():
        if last is None or message.stamp - last > _PAUSE * NANOSECONDS:
            sets.append([])
            begin = message.stamp
        sets[-1].append(Event((message.stamp - begin) / NANOSECONDS, message))
        last = message.stamp
    return sets
