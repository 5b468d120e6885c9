"""Quality of service as recorded with the topics of a bag, so that a player offers it again."""

from __future__ import annotations

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

# What rosbag2 itself records for a duration that is not limited.
_INFINITE = QosTime(9223372036, 854775807)


def _reliable(durability: QosDurability, depth: int) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=_INFINITE,
        lifespan=_INFINITE,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_INFINITE,
        avoid_ros_namespace_conventions=False,
    )


STREAM = _reliable(QosDurability.VOLATILE, 10)
"""Sensor data: reliable, so that both kinds of subscription match it."""

LATCHED = _reliable(QosDurability.TRANSIENT_LOCAL, 1)
"""What is said once and must reach those who come later: /tf_static, label info, the last grid."""
