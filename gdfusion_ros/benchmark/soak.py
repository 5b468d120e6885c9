"""Whether the live node grows while it works: memory, open files and threads over many camera sets.

A synthetic vehicle drives straight on. Its cameras give a set every 0.1 s, of which the network sees every fifth, as by
default; every output has a subscriber, so that every message is made.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from PIL import Image
from rclpy.node import Node

from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.bags.qos import STREAM
from gdfusion_ros.bags.reader import RawMessage, Topic
from gdfusion_ros.datasets.nuscenes import Calibration, SensorData
from gdfusion_ros.datasets.nuscenes_rows import Pose
from gdfusion_ros.datasets.scene_messages import camera_info, ego_transform, static_transforms
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message, header
from gdfusion_ros.messages.inputs import TF_STATIC_TOPIC, TF_TOPIC, input_topics
from gdfusion_ros.messages.outputs import NODE_NAME
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros import qos
from gdfusion_ros.ros.clock import NoClock
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.outputs import LATENCY_TOPIC, installed_outputs
from gdfusion_ros.ros.player import Event, Player
from gdfusion_ros.ros.process import node_process
from gdfusion_ros.settings import BevSettings, PipelineSettings, TopicSettings

MOST_GROWTH = 0.1
"""Memory that may come with 1,000 sets [MB]; more is a leak."""

_STEP = 5
"""Of so many sets, the network sees one."""

_ARGUMENTS = ('--set', 'lossless=true', '--set', 'input_reliability=reliable', '--set', 'keyframe_interval=0.5')
_PIPELINE, _TOPICS = PipelineSettings(), TopicSettings()
_START, _PERIOD, _SPEED = 1_600_000_000 * NANOSECONDS, NANOSECONDS // 10, 5.0
_WIDTH, _HEIGHT, _FOCAL_LENGTH = 160, 90, 126.0
_NODE = f'/{NODE_NAME}'
_TIMEOUT = 600.0


@dataclass(frozen=True)
class Usage:
    """What the node's process held after each grid.

    Attributes:
        sets: (n,) camera sets sent until then.
        memory: (n,) what it has allocated, in memory or swapped out; without libraries, parts of which the system drops
            and reads again, and without what it shares with others, as the images on their way [MB].
        files: (n,) open file descriptors.
        threads: (n,) threads.
    """

    sets: NDArray[np.int64]
    memory: NDArray[np.float64]
    files: NDArray[np.int64]
    threads: NDArray[np.int64]

    def growth(self) -> dict[str, float]:
        """What came with 1,000 sets: memory [MB] by the slope of a straight line, files and threads [count].

        The first quarter, in which caches fill, does not count; nor does what is there for a moment only. One cache can
        take thousands of sets and looks like a leak for as long: Python keeps freed tuples, up to 2,000 of each length
        below 20. ``tuple`` of a generator takes one of length 10 from there and gives another length back, one more by
        each call. What runs with every frame therefore makes long tuples of lists.
        """
        warm = self.sets >= self.sets[-1] / 4
        sets = self.sets[warm] / 1000

        def more(counts: NDArray[np.int64]) -> float:
            first, *_, last = np.array_split(counts[warm], 3)
            return float((last.min() - first.min()) / (sets[-1] - sets[0]))

        return {
            'memory': float(np.polyfit(sets, self.memory[warm], 1)[0]),
            'files': more(self.files),
            'threads': more(self.threads),
        }


def run(node_arguments: Sequence[str], sets: int, on_set: Callable[[], object] = lambda: None) -> Usage:
    """Send camera sets to a node process of its own and look at what that holds.

    Args:
        node_arguments: Of ``gdfusion node``: the network and its weights.
        sets: How many to send.
        on_set: Called after each.

    Raises:
        GdfusionError: the node fails or does not answer.
    """
    rows = []
    with (
        node_process([*node_arguments, *_ARGUMENTS], name=_NODE, timeout=_TIMEOUT) as process,
        ros_node('gdfusion_soak') as node,
    ):
        grids = _listen(node)
        types = input_topics(_PIPELINE, _TOPICS)
        player = Player(node, {name: Topic(name, type_name, 1, (STREAM,)) for name, type_name in types.items()})
        with spinning(node):
            player.wait_for_subscribers(_TIMEOUT)
            for number, messages in zip(range(sets), _drive(), strict=False):
                player.play([Event(0.0, message) for message in messages], 1.0, NoClock())
                if number % _STEP == 0:
                    _wait(grids)
                    rows.append((number + 1, *_held(process.pid)))
                on_set()
    columns = zip(*rows, strict=True)
    return Usage(*(np.array(column) for column in columns))


def require_steady(growth: Mapping[str, float]) -> None:
    """Make sure that what Usage.growth gives is no growth.

    Raises:
        GdfusionError: names what grows.
    """
    growing = [
        f'{what} by {more:.3f}{" MB" if what == "memory" else ""}'
        for what, more in growth.items()
        if more >= (MOST_GROWTH if what == 'memory' else 1e-9)
    ]
    if growing:
        raise GdfusionError(f'the node grows with 1,000 camera sets: {", ".join(growing)}')


def _listen(node: Node) -> queue.SimpleQueue[DiagnosticArray]:
    """What comes with each grid, its stages; everything else that comes is received, too."""
    grids: queue.SimpleQueue[DiagnosticArray] = queue.SimpleQueue()
    for output in installed_outputs(BevSettings()):
        node.create_subscription(
            message_class(output.type_name), f'{_NODE}/{output.topic}', lambda _: None, qos.recording(), raw=True
        )
    node.create_subscription(DiagnosticArray, f'{_NODE}/{LATENCY_TOPIC}', grids.put, qos.events())
    return grids


def _wait(grids: queue.SimpleQueue[DiagnosticArray]) -> None:
    try:
        grids.get(timeout=_TIMEOUT)
    except queue.Empty:
        raise GdfusionError(f'the node made no grid within {_TIMEOUT:g} s; its own lines say why') from None


def _held(pid: int) -> tuple[float, int, int]:
    """Allocated memory [MB], open files and threads of a process (proc(5))."""
    process = Path(f'/proc/{pid}')
    allocated = sum(
        int(line.split()[1])
        for line in (process / 'smaps_rollup').read_text().splitlines()
        if line.startswith(('Anonymous:', 'Swap:'))
    )
    return allocated * 1024 / 1e6, len(list((process / 'fd').iterdir())), len(list((process / 'task').iterdir()))


def _drive() -> Iterator[list[RawMessage]]:
    """The messages of one camera set after the other, endlessly."""
    store, make = typestore(), RosbagsFactory()
    types = input_topics(_PIPELINE, _TOPICS)
    jpeg = make.array(np.frombuffer(_jpeg(), np.uint8))
    cameras = [_calibration(name, index) for index, name in enumerate(_PIPELINE.cameras)]

    def raw(topic: str, stamp: int, message: Message) -> RawMessage:
        return RawMessage(topic, types[topic], stamp, bytes(store.serialize_cdr(message, types[topic])))

    stamp, messages = _START, [raw(TF_STATIC_TOPIC, _START, static_transforms(cameras, _START, make))]
    while True:
        driven = _SPEED * (stamp - _START) / NANOSECONDS
        pose = Pose((driven, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        taken = [SensorData('', stamp, Path(), '', _WIDTH, _HEIGHT, camera, pose) for camera in cameras]
        messages.append(raw(TF_TOPIC, stamp, ego_transform(taken[0], make)))
        for data in taken:
            name = data.calibration.channel
            image = make(_TOPICS.image_type, header=header(stamp, name, make), format='jpeg', data=jpeg)
            messages += [
                raw(_TOPICS.camera_info(name), stamp, camera_info(data, make)),
                raw(_TOPICS.image(name), stamp, image),
            ]
        yield messages
        stamp, messages = stamp + _PERIOD, []


def _calibration(name: str, index: int) -> Calibration:
    """The camera at place ``index`` of a ring of six that look outwards."""
    half = pi * index / 6
    c, s = cos(half) / 2, sin(half) / 2
    return Calibration(
        name,
        'camera',
        Pose((cos(2 * half), sin(2 * half), 1.5), (-c - s, c - s, s - c, c + s)),
        (_FOCAL_LENGTH, 0.0, _WIDTH / 2, 0.0, _FOCAL_LENGTH, _HEIGHT / 2, 0.0, 0.0, 1.0),
    )


def _jpeg() -> bytes:
    stream = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    Image.fromarray(pixels).resize((_WIDTH, _HEIGHT)).save(stream, 'JPEG')
    return stream.getvalue()
