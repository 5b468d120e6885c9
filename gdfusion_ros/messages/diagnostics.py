"""``diagnostic_msgs/DiagnosticArray`` as plain values, and back."""

from __future__ import annotations

from collections.abc import Iterable

from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.perception.health import Status

DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE = '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray'


def statuses(entries: Iterable[Message]) -> tuple[Status, ...]:
    """Of ``diagnostic_msgs/DiagnosticStatus`` messages; rclpy has the level as a byte, others as a number."""
    found = [
        Status(
            entry.name,
            entry.level[0] if isinstance(entry.level, bytes) else int(entry.level),
            entry.message,
            {pair.key: pair.value for pair in entry.values},
        )
        for entry in entries
    ]
    return tuple(found)


def diagnostic_array(stamp: int, entries: Iterable[Status], make: MessageFactory) -> Message:
    """``diagnostic_msgs/DiagnosticArray`` at ``stamp`` [ns], of a library whose bytes are numbers."""
    return make(
        DIAGNOSTICS_TYPE,
        header=header(stamp, '', make),
        status=[
            make(
                'diagnostic_msgs/msg/DiagnosticStatus',
                name=entry.name,
                level=entry.level,
                message=entry.message,
                hardware_id='',
                values=[
                    make('diagnostic_msgs/msg/KeyValue', key=key, value=value) for key, value in entry.values.items()
                ],
            )
            for entry in entries
        ],
    )
