"""sqlite3 files, of every version of rosbag2's tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

from gdfusion_ros.bags.storage import Channel, RawMessage, full_type_name, offered_qos, unpacked
from gdfusion_ros.errors import GdfusionError

_TABLES = {'topics', 'messages'}


class SqliteFile:
    """An open sqlite3 file.

    Attributes:
        about: What is kept of the whole bag.
        channels: All, foreign ones too.
        span: Record times of the first and the last message [ns]; None without messages.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``; nothing is written, neither to it nor beside it.

        Raises:
            GdfusionError: it is a database of something else.
            Exception: the parsers', where the file is damaged.
        """
        self._database = sqlite3.connect(
            f'file:{quote(os.fsencode(path.absolute()))}?immutable=1', uri=True, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        try:
            tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if missing := sorted(_TABLES - tables):
                raise GdfusionError(f'it is a database, but no bag: it has no table {" and ".join(missing)}')
            self._known = dict(self._topics())
            self.about = self._newest_metadata() if 'metadata' in tables else ''  # not up to ROS 2 Humble
            first, last = self._database.execute('SELECT MIN(timestamp), MAX(timestamp) FROM messages').fetchone()
        except BaseException:
            self._database.close()
            raise
        self.channels = self._known.values()
        self.span = None if first is None else (_stamp(first), _stamp(last))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def messages(self, topics: Collection[str], start: int) -> Iterator[RawMessage]:
        """See StorageFile."""
        wanted = [number for number, channel in self._known.items() if channel.topic in topics and not channel.foreign]
        places = ', '.join('?' * len(wanted))
        for number, stamp, data in self._database.execute(
            f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({places}) AND timestamp >= ? '
            'ORDER BY timestamp, id',
            (*wanted, start),
        ):
            channel = self._known[number]
            if not isinstance(data, bytes):
                raise TypeError(f'a message on {channel.topic} is {data!r}')
            yield RawMessage(channel.topic, channel.type_name, _stamp(stamp), unpacked(data))

    def _topics(self) -> Iterator[tuple[int, Channel]]:
        """Channel by number; messages of a number that no topic has are a foreign one."""
        counts = dict(self._database.execute('SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id').fetchall())
        described = set()
        for row in self._database.execute('SELECT * FROM topics ORDER BY id'):
            if row['id'] in described:
                raise ValueError(f'two topics have the number {row["id"]}')
            described.add(row['id'])
            encoding, count = row['serialization_format'], counts.pop(row['id'], 0)
            qos = row['offered_qos_profiles'] if 'offered_qos_profiles' in row.keys() else ''  # noqa: SIM118
            yield (
                row['id'],
                Channel(
                    row['name'],
                    full_type_name(row['type']),
                    offered_qos(qos),
                    count,
                    count,
                    '' if encoding == 'cdr' else encoding or 'no encoding',
                ),
            )
        for number, count in counts.items():
            yield number, Channel.lost(number, count)

    def _newest_metadata(self) -> str:
        row = self._database.execute('SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1').fetchone()
        return str(row['metadata']) if row else ''


def _stamp(value: object) -> int:
    """A record time [ns]; sqlite3 keeps whatever it is given."""
    if not isinstance(value, int):
        raise TypeError(f'a message has the record time {value!r}')
    return value
