"""Bags that appear under their name only when they are whole."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

import rosbags.rosbag2.writer
import yaml
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.qos import STREAM
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import folder_written_whole
from gdfusion_ros.messages.factory import Message

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
"""Storage plugins of rosbag2."""

FORMATS: dict[str, Literal[8, 9]] = {'jazzy': 9, 'humble': 8}
"""Oldest ROS distribution that shall read the bag -> version of its metadata (Humble refuses QoS stored by name)."""

COMPRESSIONS = {
    'none': CompressionMode.NONE,
    'message': CompressionMode.MESSAGE,
    'file': CompressionMode.FILE,
    'storage': CompressionMode.STORAGE,
}
"""What is compressed (with zstd): nothing, every message, the file when it is whole, or the chunks inside of MCAP."""


class _Yaml:
    """What rosbags' writer needs of ruamel.yaml, by the compiled emitter of PyYAML.

    ruamel's is pure Python: for the metadata of a bag it takes longer than rosbags for the images of a nuScenes scene.
    """

    default_flow_style = False

    def __init__(self, typ: str) -> None:
        """``typ`` is 'safe'."""

    def dump(self, data: object, stream: IO[str]) -> None:
        """Write ``data`` as YAML."""
        yaml.dump(
            data, stream, getattr(yaml, 'CSafeDumper', yaml.SafeDumper), default_flow_style=self.default_flow_style
        )


rosbags.rosbag2.writer.YAML = _Yaml  # type: ignore[attr-defined,assignment]


class BagWriter:
    """Writes messages into an open bag; made by ``bag_writer``."""

    def __init__(self, path: Path, writer: Writer) -> None:
        """Take over an open ``writer`` of the bag that will be at ``path``."""
        self._writer = writer
        self._path = path
        self._topics: dict[str, Connection] = {}

    def add_topic(self, topic: str, type_name: str, *offers: Qos) -> None:
        """Announce a topic with what its publishers offer; it stays in the bag even if nothing is written to it."""
        with _explained(self._path):
            self._topics[topic] = self._writer.add_connection(
                topic, type_name, typestore=typestore(), offered_qos_profiles=list(dict.fromkeys(offers or [STREAM]))
            )

    def write(self, topic: str, stamp: int, message: Message) -> None:
        """Write ``message``, or its bytes, with record time ``stamp`` [ns]. Messages must come in time order."""
        if not isinstance(message, bytes):
            message = typestore().serialize_cdr(message, self._topics[topic].msgtype)
        self.write_serialized(topic, stamp, message)

    def write_serialized(self, topic: str, stamp: int, data: bytes | memoryview) -> None:
        """Write a message that is CDR already."""
        try:
            with _explained(self._path):
                self._writer.write(self._topics[topic], stamp, data)
        except (OverflowError, struct.error) as error:
            raise GdfusionError(
                f'bag {self._path} cannot be written: a message on {topic} has the record time {stamp} ns, which its '
                'storage does not have; take the other storage, or mend the clock of the recording'
            ) from error


def require_compression(storage: str, compression: str) -> None:
    """Make sure that ``storage`` (one of STORAGES) can do ``compression`` (one of COMPRESSIONS).

    Raises:
        GdfusionError: it cannot.
    """
    if (storage, compression) == ('sqlite3', 'storage'):
        raise GdfusionError("sqlite3 cannot compress by itself ('storage'); choose message or file, or store as mcap")


@contextmanager
def bag_writer(
    path: Path,
    *,
    storage: str = 'mcap',
    bag_format: str = 'jazzy',
    compression: str = 'none',
    custom_data: Mapping[str, str] | None = None,
) -> Iterator[BagWriter]:
    """A bag that is written in a hidden folder beside ``path`` and renamed at the end of the ``with`` block.

    Whatever ends the block early (an error, Ctrl-C) leaves nothing behind.

    Args:
        path: The bag's folder.
        storage: One of STORAGES.
        bag_format: One of FORMATS.
        compression: One of COMPRESSIONS.
        custom_data: Kept in the bag's metadata.

    Raises:
        GdfusionError: ``path`` exists, cannot be written, the disk is full, or the storage does not compress so.
    """
    require_compression(storage, compression)
    with folder_written_whole(path) as folder:
        writer = Writer(folder, version=FORMATS[bag_format], storage_plugin=STORAGES[storage])
        writer.set_compression(COMPRESSIONS[compression], CompressionFormat.ZSTD)
        for key, value in (custom_data or {}).items():
            writer.set_custom_data(key, value)
        with _explained(path):
            writer.open()
        try:
            yield BagWriter(path, writer)
            with _explained(path):
                writer.close()
        finally:
            # What is thrown away need not reach the disk; where it cannot, the first error has said so.
            with suppress(OSError, sqlite3.Error):
                writer.abort()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of the file system and of the storage as one clear line."""
    try:
        yield
    except (OSError, sqlite3.Error, WriterError) as error:
        raise GdfusionError(f'bag {path} cannot be written: {error}; nothing of it was kept') from error
