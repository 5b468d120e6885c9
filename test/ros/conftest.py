"""A graph of its own for every module of tests, and a short synthetic drive to play to a node in its own process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.qos import STREAM
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.bags.replay import replay
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.messages.outputs import LABEL_INFO_TOPIC, LABEL_INFO_TYPE, OCCUPANCY, POINTS
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.ros import environment, parameters, qos, shared_memory
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.process import node_process
from gdfusion_ros.ros.recorder import record
from gdfusion_ros.settings import ModelSettings, PipelineSettings, TopicSettings

MODEL = ModelSettings(model='gdfusion_nano', untrained=True, device='cpu')
START = {
    'lossless': True,
    'input_reliability': 'reliable',
    'diagnostics_period': 0.2,
    'camera_timeout': 0.5,
    'tf_timeout': 60.0,
    'silence_timeout': 60.0,
    'output_durability': 'volatile',
}
"""Parameters that the live node starts with: it loses nothing, gives nothing up on a busy machine, speaks often, and
hands no grid of an earlier test to those who come late."""
OUTPUTS = {f'/occ/{output.topic}': output.type_name for output in (OCCUPANCY, POINTS)}

Change = Callable[[RawMessage], RawMessage | None]


@pytest.fixture(scope='module', autouse=True)
def ros_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The environment of every process of a module: its own ROS domain, on this machine only."""
    number = int(tmp_path_factory.mktemp('domain').name.removeprefix('domain'))
    domain, held = environment.own_domain(os.getpid() + number)
    with held, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_LOG_DIR', str(tmp_path_factory.mktemp('ros_log')))
        for name, _ in shared_memory.PROFILES.values():
            patch.delenv(name, raising=False)
        needed = dict(os.environ)
        environment.prepare(needed)
        for name, value in needed.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope='session')
def drive(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 3 key frames, 0.5 s apart, of six cameras, with TF; never to be changed."""
    out = tmp_path_factory.mktemp('bags')
    [job] = plan(nuscenes.load(nuscenes_root, scenes=('scene-0001',)), out)
    convert(job)
    return job.path


@dataclass(frozen=True)
class Grids:
    """What a node, or a replay, gave out: CDR by topic."""

    messages: dict[str, list[bytes]]

    @property
    def stamps(self) -> list[int]:
        return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in self.decoded]

    @property
    def decoded(self) -> list[Any]:
        return [
            typestore().deserialize_cdr(data, OUTPUTS['/occ/occupancy']) for data in self.messages['/occ/occupancy']
        ]

    def differences(self, other: Grids) -> list[str]:
        """Where the messages are not the same bytes; empty where they are."""
        found = [
            f'{topic}: {len(self.messages[topic])} and {len(other.messages[topic])} messages'
            for topic in OUTPUTS
            if len(self.messages[topic]) != len(other.messages[topic])
        ]
        return found + [
            f'{topic}: message {index}'
            for topic in OUTPUTS
            for index, (one, two) in enumerate(zip(self.messages[topic], other.messages[topic], strict=False))
            if one != two
        ]

    def repeated(self, times: int) -> Grids:
        return Grids({topic: times * messages for topic, messages in self.messages.items()})

    @classmethod
    def of(cls, bag: Path) -> Grids:
        with bag_reader(bag) as reader:
            return cls({topic: [_canonical(message) for message in reader.raw_messages([topic])] for topic in OUTPUTS})


def _canonical(message: RawMessage) -> bytes:
    """CDR whose padding is zero; Fast CDR leaves there what was in memory."""
    store = typestore()
    return bytes(store.serialize_cdr(store.deserialize_cdr(message.data, message.type_name), message.type_name))


@pytest.fixture(scope='session')
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Grids]:
    """What a replay makes of a bag: what the live node has to make of it, too."""
    network = load_network(MODEL)

    def run(bag: Path) -> Grids:
        out = tmp_path_factory.mktemp('replayed') / 'grids'
        replay(bag, out, network, PipelineSettings(lossless=True), TopicSettings())
        return Grids.of(out)

    return run


@pytest.fixture(scope='session')
def expected(drive: Path, replayed: Callable[[Path], Grids]) -> Grids:
    """The three grids of the drive."""
    grids = replayed(drive)
    assert len(grids.stamps) == 3
    return grids


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Path, Change], Path]:
    """A copy of a bag with every message changed, moved to another record time, or left out."""

    def edit(bag: Path, change: Change) -> Path:
        out = tmp_path / 'edited'
        with bag_reader(bag) as reader, bag_writer(out) as writer:
            changed = [message for message in map(change, reader.raw_messages()) if message is not None]
            for topic, type_name in sorted({(message.topic, message.type_name) for message in changed}):
                writer.add_topic(topic, type_name, reader.topics[topic].qos[0] if topic in reader.topics else STREAM)
            for message in sorted(changed, key=lambda message: message.stamp):
                writer.write_serialized(message.topic, message.stamp, message.data)
        return out

    return edit


class LiveNode:
    """A node process, driven from the outside.

    Attributes:
        process: the node's number in the system.
        diagnostics: what it has said on /diagnostics, oldest first.
    """

    def __init__(self, process: int, node: Any, folder: Path, wait_until: Callable[..., None], patience: float) -> None:
        self.process = process
        self.diagnostics: list[DiagnosticArray] = []
        self._node, self._folder, self._runs = node, folder, 0
        self._wait_until, self._patience = wait_until, patience
        self._changed: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self.diagnostics.append, qos.events())

    def call(self, kind: Any, service: str, **fields: Any) -> Any:
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, f'/occ/{service}')
        client = self._clients[service]
        self.wait(client.service_is_ready)
        answer = client.call_async(kind.Request(**fields))
        self.wait(answer.done)
        return answer.result()

    def transition(self, identifier: int) -> bool:
        return bool(self.call(ChangeState, 'change_state', transition=Transition(id=identifier)).success)

    def set_parameters(self, **values: Any) -> list[Any]:
        messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return list(self.call(SetParameters, 'set_parameters', parameters=messages).results)

    def configure(self, **values: Any) -> None:
        """Give the node these parameters, and others their start values; that takes it down to unconfigured and up."""
        if values != self._changed:
            self.start_anew(**values)

    def start_anew(self, **values: Any) -> None:
        """The same in any case: a node that knows nothing, and has counted nothing."""
        back = {name: _start_value(name) for name in self._changed}
        self._changed = values
        assert self.transition(Transition.TRANSITION_DEACTIVATE)
        assert self.transition(Transition.TRANSITION_CLEANUP)
        assert all(result.successful for result in self.set_parameters(**back | values))
        assert self.transition(Transition.TRANSITION_CONFIGURE)
        assert self.transition(Transition.TRANSITION_ACTIVATE)

    def assert_not_configurable_with(self, **values: Any) -> None:
        """These parameters fail the configuration; with their start values the node is up again."""
        self.configure()
        assert self.transition(Transition.TRANSITION_DEACTIVATE)
        assert self.transition(Transition.TRANSITION_CLEANUP)
        assert all(result.successful for result in self.set_parameters(**values))
        assert not self.transition(Transition.TRANSITION_CONFIGURE)
        back = {name: _start_value(name) for name in values}
        assert all(result.successful for result in self.set_parameters(**back))
        assert self.transition(Transition.TRANSITION_CONFIGURE)
        assert self.transition(Transition.TRANSITION_ACTIVATE)

    def reset(self) -> Any:
        return self.call(Trigger, 'reset')

    def play(self, bag: Path, expected: int, **playback: Any) -> Grids:
        """Play a bag and record what comes: ``expected`` grids, and one too many until the node has reported twice.

        Nothing is played before the node sees the recorder and the player the node, however long that takes.
        """
        return self.record(lambda: play([bag], Playback(wait=self._patience, **playback)), expected)

    def record(self, player: Callable[[], object], expected: int) -> Grids:
        """What comes while ``player`` plays, and after it until there are ``expected`` grids; see ``play``."""
        self._runs += 1
        out = self._folder / f'recorded-{self._runs}'
        with record(out, {**OUTPUTS, f'/occ/{LABEL_INFO_TOPIC}': LABEL_INFO_TYPE}) as recorder:
            recorder.wait_for_publishers(self._patience)
            player()
            for topic in OUTPUTS:
                recorder.wait_for(topic, expected, self._patience)
            reports = len(self.diagnostics)
            self.wait(lambda: len(self.diagnostics) >= reports + 2)
        return Grids.of(out)

    def play_until(self, bag: Path, condition: Callable[[], object]) -> None:
        """Play a bag again and again until ``condition()`` is true."""

        def look(_topic: str) -> None:
            if condition():
                raise _EnoughError

        with suppress(_EnoughError):
            play([bag], Playback(wait=self._patience, loops=0), look)

    def diagnosis(self, name: str, matches: Callable[[Any], bool] = lambda status: True) -> DiagnosticStatus:
        """The next status called ``name`` that matches."""
        begin = len(self.diagnostics)

        def found() -> list[DiagnosticStatus]:
            return [
                status
                for array in self.diagnostics[begin:]
                for status in array.status
                if status.name == f'occ: {name}' and matches(status)
            ]

        self.wait(found)
        return found()[0]

    def values(self, name: str) -> dict[str, str]:
        """The next values of the status called ``name``."""
        return {pair.key: pair.value for pair in self.diagnosis(name).values}

    def wait(self, condition: Callable[[], Any]) -> None:
        self._wait_until(condition, lambda: f'last diagnostics: {self.diagnostics[-1:]}')


def _start_value(name: str) -> Any:
    return START.get(name, parameters.RECORDS[name][0])


class _EnoughError(Exception):
    """Ends an endless playback."""


@pytest.fixture(scope='module')
def live_with(
    ros_graph: None, tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None], patience: float
) -> Callable[..., AbstractContextManager[LiveNode]]:
    """A lossless node with these arguments, as a context manager."""

    @contextmanager
    def started(*arguments: str) -> Iterator[LiveNode]:
        settings = [part for name, value in START.items() for part in ('--set', f'{name}={str(value).lower()}')]
        with node_process([*settings, *arguments], timeout=patience) as process, ros_node('test') as node:
            driver = LiveNode(process.pid, node, tmp_path_factory.mktemp('live'), wait_until, patience)
            with spinning(node):
                yield driver

    return started


@pytest.fixture(scope='module')
def live(
    live_with: Callable[..., AbstractContextManager[LiveNode]], request: pytest.FixtureRequest
) -> Iterator[LiveNode]:
    """A lossless node with the small untrained network, and with the module's SETTINGS ('name=value')."""
    settings = [part for setting in getattr(request.module, 'SETTINGS', ()) for part in ('--set', setting)]
    with live_with('--untrained', '--model', MODEL.model, '--device', 'cpu', *settings) as driver:
        yield driver
