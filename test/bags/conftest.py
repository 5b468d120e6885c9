"""A converted scene and a network that is quick."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mcap import records
from mcap.data_stream import RecordBuilder
from mcap.writer import Writer

from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.bags.replay import ReplayResult, replay
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import BEVDETOCC_GF, bevdetocc
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.perception.estimator import PoseProtocol
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import PipelineSettings, TopicSettings


@contextmanager
def one_thread() -> Iterator[None]:
    """The pieces of work are so small that threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def built_network() -> OccupancyNetwork:
    """The whole network with small images and a coarse grid, random weights: a tenth of a second a frame."""
    grid = VoxelGrid(lower=(-40.0, -40.0, -1.0), voxel_size=(3.2, 3.2, 1.6), shape=(25, 25, 4))
    network = bevdetocc(dataclasses.replace(BEVDETOCC_GF, name='tiny', image_size=(64, 176), grid=grid))
    initialise(network, seed=0)
    return prepare(network, torch.device('cpu'))


@pytest.fixture(scope='module')
def tiny_network(built_network: OccupancyNetwork) -> Iterator[OccupancyNetwork]:
    """Runs in one thread."""
    with one_thread():
        yield built_network


Replayed = tuple[ReplayResult, list[SemanticGrid], Path]


def replayed(
    network: OccupancyNetwork,
    bag: Path,
    out: Path,
    *,
    topics: TopicSettings | None = None,
    protocol: PoseProtocol = 'live',
    listener: ReplayListener | None = None,
    **settings: Any,
) -> Replayed:
    """What a replay did, the grids that it wrote, and where."""
    result = replay(
        bag,
        out,
        network,
        PipelineSettings(**settings),
        topics or TopicSettings(),
        protocol=protocol,
        listener=listener or ReplayListener(),
    )
    with bag_reader(out) as reader:
        grids = [decode.semantic_grid(message, topic) for topic, _, message in reader.messages(['/occ/occupancy'])]
    return result, grids, out


@pytest.fixture
def run(tiny_network: OccupancyNetwork, tmp_path: Path) -> Callable[..., Replayed]:
    """``run(bag, **options)``: the bag replayed into tmp_path / 'out', or another name below it."""
    return lambda bag, name='out', **options: replayed(tiny_network, bag, tmp_path / name, **options)


@pytest.fixture(scope='session')
def reference(built_network: OccupancyNetwork, scene_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """The scene replayed as it is."""
    with one_thread():
        return replayed(built_network, scene_bag, tmp_path_factory.mktemp('replay') / 'out')


@pytest.fixture(scope='session')
def front_stamps() -> list[int]:
    """Of CAM_FRONT in the scene [ns]."""
    return [1_600_000_059_964_300_000 + index * 500_000_000 for index in range(3)]


@pytest.fixture(scope='session')
def rewrite() -> Callable[[Path, Path, Callable[[RawMessage], Iterable[RawMessage]]], Path]:
    """``rewrite(source, target, change)``: a copy of a bag with every message replaced by ``change(message)``."""

    def write(source: Path, target: Path, change: Callable[[RawMessage], Iterable[RawMessage]]) -> Path:
        with bag_reader(source) as reader, bag_writer(target) as writer:
            messages = [changed for message in reader.raw_messages() for changed in change(message)]
            for topic, type_name in dict.fromkeys((message.topic, message.type_name) for message in messages):
                writer.add_topic(topic, type_name)
            for message in sorted(messages, key=lambda message: message.stamp):
                writer.write_serialized(message.topic, message.stamp, message.data)
        return target

    return write


@pytest.fixture(scope='session')
def edited() -> Callable[[RawMessage, Callable[[Message], Message]], RawMessage]:
    """``edited(message, edit)``: the message with its content changed."""

    def change(message: RawMessage, edit: Callable[[Message], Message]) -> RawMessage:
        content = edit(typestore().deserialize_cdr(message.data, message.type_name))
        return message._replace(
            type_name=content.__msgtype__, data=bytes(typestore().serialize_cdr(content, content.__msgtype__))
        )

    return change


@pytest.fixture(scope='session')
def assert_same_grids() -> Callable[[list[SemanticGrid], list[SemanticGrid]], None]:
    """Stamps, labels, cameras and what the network remembers are equal."""

    def compare(first: list[SemanticGrid], second: list[SemanticGrid]) -> None:
        assert [grid.stamp for grid in first] == [grid.stamp for grid in second]
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            assert (one.cameras, one.frames_since_reset) == (other.cameras, other.frames_since_reset)

    return compare


@dataclass(frozen=True)
class Edited:
    """What a replay made of a changed bag; ``error`` where it ended with one."""

    result: ReplayResult | None
    stamps: list[int]
    warnings: list[str]
    error: str = ''


Change = Callable[[str, Message], tuple[str, Message]]


@pytest.fixture
def replay_edited(tiny_network: OccupancyNetwork, scene_bag: Path, tmp_path: Path) -> Callable[..., Edited]:
    """``replay_edited(change, **settings)``: the scene with each (topic, message) changed, replayed."""

    def run(change: Change, topics: TopicSettings | None = None, **settings: Any) -> Edited:
        store, bag, out = typestore(), tmp_path / 'edited', tmp_path / 'out'
        with bag_reader(scene_bag) as reader, bag_writer(bag) as writer:
            added: set[str] = set()
            for message in reader.raw_messages():
                topic, content = change(message.topic, store.deserialize_cdr(message.data, message.type_name))
                if topic not in added:
                    added.add(topic)
                    writer.add_topic(topic, message.type_name)
                writer.write_serialized(topic, message.stamp, bytes(store.serialize_cdr(content, message.type_name)))
        warnings: list[str] = []
        try:
            result = replay(
                bag,
                out,
                tiny_network,
                PipelineSettings(**settings),
                topics or TopicSettings(),
                listener=ReplayListener(warning=warnings.append),
            )
        except GdfusionError as error:
            return Edited(None, [], warnings, str(error))
        with bag_reader(out) as reader:
            grids = [message for _, _, message in reader.messages(['/occ/occupancy'])]
        return Edited(result, [stamp_of(grid.header.stamp) for grid in grids], warnings)

    return run


McapBuilder = Callable[..., Path]


@pytest.fixture
def write_mcap() -> McapBuilder:
    """Writes an MCAP file of six strings on /text and /other, as writers other than rosbag2 do; see ``_write_mcap``."""
    return _write_mcap


def _write_mcap(
    path: Path,
    *,
    profile: str = 'ros2',
    type_name: str = 'std_msgs/msg/String',
    encoding: str = 'cdr',
    schema: str = 'ros2msg',
    qos: str = '',
    stamps: Sequence[int] = (100, 101, 102),
    foreign: Sequence[str] = (),
    pack: Callable[[bytes], bytes] = bytes,
    loose: Sequence[int] = (),
    **options: Any,
) -> Path:
    """``foreign``: encodings of further channels; ``loose``: stamps of messages on /text outside of the chunk."""
    text = typestore().serialize_cdr(RosbagsFactory()('std_msgs/msg/String', data='x'), 'std_msgs/msg/String')
    with path.open('wb') as stream:
        writer = Writer(stream, enable_data_crcs=False, **options)
        writer.start(profile=profile, library='somebody else')
        number = writer.register_schema(type_name, schema, b'string data')
        topics = [
            writer.register_channel(name, encoding, number, {'offered_qos_profiles': qos} if qos else {})
            for name in ('/text', '/other')
        ]
        for name in foreign:
            other = writer.register_channel(f'/{name}', name, writer.register_schema('note', name, b'{}'))
            writer.add_message(other, stamps[0], b'{}', stamps[0])
        for stamp in stamps:
            for topic in topics:
                writer.add_message(topic, stamp, pack(bytes(text)), stamp)
        for stamp in loose:
            record = RecordBuilder()
            records.Message(topics[0], stamp, bytes(text), stamp, 0).write(record)
            stream.write(record.end())
        writer.finish()
    return path
