"""The server for Foxglove, by a client of its own: websockets, and the schemas that the server advertises."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.diagnostics import statuses
from gdfusion_ros.messages.encode import POINT
from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.viewers.foxglove import FoxgloveServer
from gdfusion_ros.viewers.view import PlacedCamera, View
from gdfusion_ros.visualization.snapshot import Snapshot

client = pytest.importorskip('websockets.sync.client')
pytest.importorskip('foxglove')
descriptors = pytest.importorskip('google.protobuf.descriptor_pb2')
protobuf_pool = pytest.importorskip('google.protobuf.descriptor_pool')
factory = pytest.importorskip('google.protobuf.message_factory')

STAMP = 1_533_151_603_512_404_000
IMAGE: Pixels = np.full((90, 160, 3), (20, 120, 60), np.uint8)
HALF = 0.5**0.5
K = np.array([[100.0, 0.0, 80.0], [0.0, 100.0, 45.0], [0.0, 0.0, 1.0]])


def view() -> View:
    labels = np.full((3, 4, 2), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[2, 1, 0], labels[0, 0, 1] = 4, 255
    grid = SemanticGrid(
        STAMP,
        'base_link',
        (-1.0, -2.0, 0.5),
        (0.4, 0.5, 0.6),
        labels,
        None,
        OCC3D_NUSCENES,
        'tiny',
        1,
        ('CAM_FRONT',),
        0,
    )
    camera = PlacedCamera(K, pose_matrix((1.0, 2.0, 3.0), (-HALF, 0.0, 0.0, HALF)))
    return View(
        Snapshot(grid, images={'CAM_FRONT': IMAGE}),
        {'CAM_FRONT': camera},
        'map',
        pose_matrix((10.0, 20.0, 0.0), (0.0, 0.0, HALF, HALF)),
        statuses=(Status('occ: network', 1, 'untrained', {'device': 'cpu'}),),
    )


class Client:
    """Subscribes to every topic that the server advertises."""

    def __init__(self, socket: Any, patience: float) -> None:
        self._socket, self._patience = socket, patience
        self.channels: dict[str, dict[str, Any]] = {}
        self.capabilities: list[str] = []
        self.clock: int | None = None

    def find(self, count: int) -> None:
        """Wait for so many topics and subscribe to all."""
        while len(self.channels) < count:
            message = self._socket.recv(timeout=self._patience)
            if isinstance(message, str) and json.loads(message)['op'] == 'serverInfo':
                self.capabilities = json.loads(message)['capabilities']
            if isinstance(message, str) and json.loads(message)['op'] == 'advertise':
                self.channels |= {channel['topic']: channel for channel in json.loads(message)['channels']}
        chosen = [{'id': channel['id'], 'channelId': channel['id']} for channel in self.channels.values()]
        self._socket.send(json.dumps({'op': 'subscribe', 'subscriptions': chosen}))

    def messages(self, count: int) -> dict[str, bytes]:
        """The next message on so many topics, once the clock is known too: the server sends it by a way of its own."""
        names = {channel['id']: topic for topic, channel in self.channels.items()}
        found: dict[str, bytes] = {}
        while len(found) < count or self.clock is None:
            message = self._socket.recv(timeout=self._patience)
            if isinstance(message, bytes) and message[0] == 2:
                (self.clock,) = struct.unpack_from('<Q', message, 1)
            if isinstance(message, bytes) and message[0] == 1:
                number, stamp = struct.unpack_from('<IQ', message, 1)
                assert stamp == STAMP
                found[names[number]] = message[13:]
        return found

    def decode(self, topic: str, data: bytes) -> Any:
        """A message by the schema that came with its topic."""
        channel, pool = self.channels[topic], protobuf_pool.DescriptorPool()
        if channel['schemaEncoding'] == 'ros2msg':
            return typestore().deserialize_cdr(data, channel['schemaName'])
        for file in descriptors.FileDescriptorSet.FromString(base64.b64decode(channel['schema'])).file:
            pool.Add(file)
        message = factory.GetMessageClass(pool.FindMessageTypeByName(channel['schemaName']))()
        message.ParseFromString(data)
        return message


@pytest.fixture(scope='module')
def server() -> Iterator[FoxgloveServer]:
    running = FoxgloveServer('127.0.0.1', 0)
    yield running
    running.close()


@pytest.fixture(scope='module')
def received(server: FoxgloveServer, patience: float, wait_until: Any) -> dict[str, Any]:
    """By topic what a client gets of one view."""
    server.show(view())  # advertises the topics
    with client.connect(server.url, subprotocols=['foxglove.sdk.v1'], max_size=None) as socket:
        looking = Client(socket, patience)
        looking.find(6)
        wait_until(lambda: all(channel.has_sinks() for channel in server._channels.values()))
        server.show(view())
        messages = looking.messages(6)
    assert 'time' in looking.capabilities
    assert looking.clock == STAMP
    assert looking.channels['/diagnostics']['schemaEncoding'] == 'ros2msg'
    return {topic: looking.decode(topic, data) for topic, data in messages.items()}


def test_a_client_sees_the_voxels(received: dict[str, Any]) -> None:
    grid = received['/occ/voxels']
    assert (grid.frame_id, grid.timestamp.seconds, grid.timestamp.nanos) == ('base_link', 1_533_151_603, 512_404_000)
    assert (grid.column_count, grid.row_count) == (3, 4)
    assert (grid.cell_stride, grid.row_stride, grid.slice_stride) == (5, 15, 60)
    assert (grid.pose.position.x, grid.pose.position.y, grid.pose.position.z) == (-1.0, -2.0, 0.5)
    assert (grid.cell_size.x, grid.cell_size.y, grid.cell_size.z) == (0.4, 0.5, 0.6)
    assert [(field.name, field.offset, field.type) for field in grid.fields] == [
        ('red', 0, 1),
        ('green', 1, 1),
        ('blue', 2, 1),
        ('alpha', 3, 1),
        ('label', 4, 1),
    ]
    cells = np.frombuffer(grid.data, np.uint8).reshape(2, 4, 3, 5)  # z, y, x
    assert cells[0, 1, 2].tolist() == [0, 150, 245, 255, 4]
    assert cells[1, 0, 0].tolist() == [0, 0, 0, 0, 255]
    assert (cells[..., 3] > 0).sum() == 1


def test_a_client_without_voxel_grids_sees_them_as_points(received: dict[str, Any]) -> None:
    cloud = received['/occ/points']
    assert (cloud.header.frame_id, cloud.header.stamp.sec, cloud.width) == ('base_link', 1_533_151_603, 1)
    (point,) = cloud.data.view(POINT)
    assert (point['x'], point['y'], point['z']) == pytest.approx((0.0, -1.25, 0.8))  # voxel (2, 1, 0) of the view
    assert (point['rgb'], point['label']) == (0x0096F5, 4)


def test_a_client_sees_where_vehicle_and_cameras_are(received: dict[str, Any]) -> None:
    vehicle, camera = received['/tf'].transforms
    assert (vehicle.parent_frame_id, vehicle.child_frame_id) == ('map', 'base_link')
    assert (vehicle.translation.x, vehicle.translation.y) == (10.0, 20.0)
    assert (vehicle.rotation.z, vehicle.rotation.w) == pytest.approx((HALF, HALF))
    assert (camera.parent_frame_id, camera.child_frame_id) == ('base_link', 'CAM_FRONT')
    assert (camera.rotation.x, camera.rotation.w) == pytest.approx((-HALF, HALF))


def test_a_client_sees_images_with_their_cameras(received: dict[str, Any]) -> None:
    image, camera = received['/CAM_FRONT/image/compressed'], received['/CAM_FRONT/camera_info']
    assert (image.format, image.frame_id, image.data[:2]) == ('jpeg', 'CAM_FRONT', b'\xff\xd8')
    assert (camera.width, camera.height, list(camera.K)) == (160, 90, K.ravel().tolist())


def test_a_client_sees_the_diagnostics(received: dict[str, Any]) -> None:
    assert statuses(received['/diagnostics'].status) == view().statuses


def test_a_port_that_is_taken_is_named(server: FoxgloveServer) -> None:
    port = int(server.url.rpartition(':')[2])
    with pytest.raises(GdfusionError, match=f'the server for Foxglove cannot listen on 127.0.0.1:{port}'):
        FoxgloveServer('127.0.0.1', port)
