"""sqlite3 files, through rosbags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from gdfusion_ros.bags.storage import Channel, RawMessage, full_type_name, unpacked


class SqliteFile:
    """An open sqlite3 file.

    Attributes:
        about: What is kept of the whole bag.
        channels: All, foreign ones too.
        span: Record times of the first and the last message [ns]; None without messages.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``.

        Raises:
            Exception: the parsers', where the file is damaged.
        """
        self._reader = Sqlite3Reader(path)
        self._reader.open()
        self.about = self._about()
        self._known = {item.id: _channel(item) for item in self._reader.connections}
        self.channels = self._known.values()
        times = self._reader.metadata
        self.span = (times.start_time, times.end_time - 1) if times.message_count else None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def messages(self, topics: Collection[str], start: int) -> Iterator[RawMessage]:
        """See StorageFile."""
        wanted = [item for item in self._reader.connections
                  if item.topic in topics and not self._known[item.id].foreign]
        for connection, stamp, data in self._reader.messages(wanted, start) if wanted else ():
            channel = self._known[connection.id]
            yield RawMessage(channel.topic, channel.type_name, stamp, unpacked(data))

    def _about(self) -> str:
        database = self._reader.dbconn
        assert database is not None
        if not database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'metadata'").fetchone():
            return ''  # up to ROS 2 Humble
        row = database.execute('SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1').fetchone()
        return str(row[0]) if row else ''


def _channel(item: Connection) -> Channel:
    assert isinstance(item.ext, ConnectionExtRosbag2)
    encoding = item.ext.serialization_format
    return Channel(item.topic, full_type_name(item.msgtype), tuple(item.ext.offered_qos_profiles), item.msgcount,
                   item.msgcount, '' if encoding == 'cdr' else encoding or 'no encoding')
