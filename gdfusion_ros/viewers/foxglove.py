"""A server that Foxglove connects to: the grid as VoxelGrid, images with their cameras, transforms, diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE, diagnostic_array
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.inputs import TF_TOPIC
from gdfusion_ros.messages.outputs import GROUND_TRUTH_TOPIC, NODE_NAME, POINTS, VOXELS
from gdfusion_ros.messages.voxels import FIELDS, cells, strides
from gdfusion_ros.perception.poses import quaternion
from gdfusion_ros.perception.types import NANOSECONDS, Matrix, SemanticGrid
from gdfusion_ros.settings import TopicSettings
from gdfusion_ros.viewers.jpeg import jpeg
from gdfusion_ros.viewers.optional import library
from gdfusion_ros.viewers.servers import no_server, reached_as
from gdfusion_ros.viewers.view import View

VOXELS_TOPIC = f'/{NODE_NAME}/{VOXELS.topic}'
POINTS_TOPIC = f'/{NODE_NAME}/{POINTS.topic}'
"""The grid for viewers of the protocol that know no VoxelGrid, as Foxglove Studio 1 and what was made of it."""
TRUTH_TOPIC = f'{GROUND_TRUTH_TOPIC.rpartition("/")[0]}/{VOXELS.topic}'

_BACKLOG = 64
"""Messages that wait for a slow client, four views or so; then the oldest is dropped."""


class FoxgloveServer:
    """A Viewer that serves the Foxglove WebSocket protocol.

    Topics are named as the node's, so that config/foxglove_layout.json fits. What nobody subscribes to is not made.

    Attributes:
        url: What Foxglove is to open.
    """

    def __init__(self, host: str, port: int) -> None:
        """Serve on ``host``; port 0 takes any that is free.

        Raises:
            GdfusionError: the port is taken, or the library foxglove-sdk is not installed.
        """
        self._sdk = library('foxglove', 'foxglove')
        self._messages = library('foxglove.messages', 'foxglove')
        self._channel_types = library('foxglove.channels', 'foxglove')
        self._context = self._sdk.Context()
        self._channels: dict[str, Any] = {}
        self._topics = TopicSettings()
        try:
            self._server = self._sdk.start_server(
                name='gdfusion',
                host=host,
                port=port,
                context=self._context,
                message_backlog_size=_BACKLOG,
                capabilities=[self._sdk.Capability.Time],
            )
        except (OSError, RuntimeError) as error:
            raise no_server('the server for Foxglove', host, port, error) from error
        self.url = f'ws://{reached_as(host)}:{self._server.port}'

    def show(self, view: View) -> None:
        """Send ``view`` to every client, whose clock is that of the stamps.

        Without it their clock is the wall's, and a bag that begins again draws its grids from where it has ended.
        """
        self._server.broadcast_time(view.stamp)
        self._transforms(view)
        self._voxels(VOXELS_TOPIC, view.snapshot.grid)
        if view.snapshot.truth is not None:
            self._voxels(TRUTH_TOPIC, view.snapshot.truth)
        self._ros(POINTS_TOPIC, POINTS.type_name, view.stamp, lambda make: POINTS.build(view.snapshot.grid, make))
        self._cameras(view)
        if view.statuses:
            self._ros(
                DIAGNOSTICS_TOPIC,
                DIAGNOSTICS_TYPE,
                view.stamp,
                lambda make: diagnostic_array(view.stamp, view.statuses, make),
            )

    def close(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):  # of a client that goes at the same moment
            self._server.stop()

    def _wanted(self, topic: str, kind: str) -> Any:
        """The channel of ``topic``, advertised from the first time on; None while nobody subscribes to it."""
        if topic not in self._channels:
            self._channels[topic] = (
                self._ros_channel(topic, kind)
                if '/' in kind
                else getattr(self._channel_types, f'{kind}Channel')(topic, context=self._context)
            )
        channel = self._channels[topic]
        return channel if channel.has_sinks() else None

    def _ros_channel(self, topic: str, kind: str) -> Any:
        """A channel of ROS messages."""
        definition, _ = typestore().generate_msgdef(kind, ros_version=2)
        schema = self._sdk.Schema(name=kind, encoding='ros2msg', data=definition.encode())
        return self._sdk.Channel(topic, schema=schema, message_encoding='cdr', context=self._context)

    def _ros(self, topic: str, kind: str, stamp: int, build: Callable[[RosbagsFactory], Message]) -> None:
        """Send a ROS message, as the node publishes it."""
        if channel := self._wanted(topic, kind):
            message = build(RosbagsFactory())
            channel.log(bytes(typestore().serialize_cdr(message, kind)), log_time=stamp)

    def _log(self, topic: str, kind: str, stamp: int, **fields: object) -> None:
        """Send a message of Foxglove's own schemas whose stamp is ``stamp`` [ns]."""
        if channel := self._wanted(topic, kind):
            message = getattr(self._messages, kind)(timestamp=self._time(stamp), **fields)
            channel.log(message, log_time=stamp)

    def _voxels(self, topic: str, grid: SemanticGrid) -> None:
        if not self._wanted(topic, 'VoxelGrid'):
            return
        make = self._messages
        fields = [
            make.PackedElementField(name=name, offset=offset, type=make.PackedElementFieldNumericType.Uint8)
            for offset, name in enumerate(FIELDS)
        ]
        columns, rows, _ = grid.labels.shape
        self._log(
            topic,
            'VoxelGrid',
            grid.stamp,
            frame_id=grid.frame_id,
            pose=self._pose(grid.origin),
            row_count=rows,
            column_count=columns,
            cell_size=self._vector(grid.voxel_size),
            **strides(grid),
            fields=fields,
            data=cells(grid).tobytes(),
        )

    def _cameras(self, view: View) -> None:
        for camera, pixels in view.snapshot.images.items():
            topic = self._topics.image(camera)
            if self._wanted(topic, 'CompressedImage'):
                self._log(topic, 'CompressedImage', view.stamp, frame_id=camera, data=jpeg(pixels), format='jpeg')
            if camera in view.cameras:
                k = view.cameras[camera].intrinsics
                p = [*k[0], 0.0, *k[1], 0.0, *k[2], 0.0]
                self._log(
                    self._topics.camera_info(camera),
                    'CameraCalibration',
                    view.stamp,
                    frame_id=camera,
                    width=pixels.shape[1],
                    height=pixels.shape[0],
                    K=k.ravel().tolist(),
                    P=[float(x) for x in p],
                    R=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                )

    def _transforms(self, view: View) -> None:
        if not (channel := self._wanted(TF_TOPIC, 'FrameTransforms')):
            return
        transforms = [self._transform(*edge, view.stamp) for edge in _edges(view)]
        channel.log(self._messages.FrameTransforms(transforms=transforms), log_time=view.stamp)

    def _transform(self, parent: str, child: str, parent_from_child: Matrix, stamp: int) -> Any:
        x, y, z, w = quaternion(parent_from_child)
        return self._messages.FrameTransform(
            timestamp=self._time(stamp),
            parent_frame_id=parent,
            child_frame_id=child,
            translation=self._vector(parent_from_child[:3, 3]),
            rotation=self._messages.Quaternion(x=x, y=y, z=z, w=w),
        )

    def _time(self, stamp: int) -> Any:
        seconds, nanoseconds = divmod(stamp, NANOSECONDS)
        return self._messages.Timestamp(sec=seconds, nsec=nanoseconds)

    def _vector(self, values: Iterable[float]) -> Any:
        x, y, z = map(float, values)
        return self._messages.Vector3(x=x, y=y, z=z)

    def _pose(self, position: Iterable[float]) -> Any:
        return self._messages.Pose(
            position=self._vector(position), orientation=self._messages.Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        )


def _edges(view: View) -> Iterator[tuple[str, str, Matrix]]:
    """Parent, child and parent_from_child of every frame: a camera's is named as the camera."""
    frame = view.snapshot.grid.frame_id
    if view.fixed_from_grid is not None:
        yield view.fixed_frame, frame, view.fixed_from_grid
    for camera, place in view.cameras.items():
        yield frame, camera, place.grid_from_camera
