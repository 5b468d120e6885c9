"""Every quality of service that the product uses, by name."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from gdfusion_ros.bags.reader import Topic
from gdfusion_ros.perception.types import NANOSECONDS

EVERY_MESSAGE = 1000
"""Depth of a queue that shall lose nothing, however late its reader comes to it."""

_TRANSFORMS = 100  # as tf2's listener and broadcaster have it


def _profile(depth: int, reliability: str = 'reliable', durability: str = 'volatile') -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy[durability.upper()],
    )


def camera(reliability: str, depth: int) -> QoSProfile:
    """Images and CameraInfo: best effort receives from every publisher, reliable only from reliable ones."""
    return _profile(depth, reliability)


def transforms() -> QoSProfile:
    """``/tf``, as tf2's listener."""
    return _profile(_TRANSFORMS)


def static_transforms() -> QoSProfile:
    """``/tf_static``, as tf2's listener and broadcaster: who comes late gets what was sent before."""
    return _profile(_TRANSFORMS, durability='transient_local')


def output(durability: str) -> QoSProfile:
    """Grids and pictures of them: the newest only; with transient_local who comes late gets the last one."""
    return _profile(1, durability=durability)


def latched() -> QoSProfile:
    """What is sent once and holds from then on."""
    return _profile(1, durability='transient_local')


def events() -> QoSProfile:
    """Messages of which each counts, for those who are there: diagnostics, measurements."""
    return _profile(10)


def recording(offers: Sequence[QoSProfile] = ()) -> QoSProfile:
    """A subscription that misses nothing of publishers with these ``offers``: it asks for what all of them give."""
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = bool(offers) and all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return _profile(
        EVERY_MESSAGE, 'reliable' if reliable else 'best_effort', 'transient_local' if latched else 'volatile'
    )


def kept(offer: QoSProfile) -> Qos:
    """What a publisher offers, as bags keep it; DDS does not tell others its history and depth."""
    return Qos(
        QosHistory[offer.history.name],
        offer.depth,
        QosReliability[offer.reliability.name],
        QosDurability[offer.durability.name],
        _time(offer.deadline),
        _time(offer.lifespan),
        QosLiveliness[offer.liveliness.name],
        _time(offer.liveliness_lease_duration),
        offer.avoid_ros_namespace_conventions,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, NANOSECONDS))


def recorded(topic: Topic) -> QoSProfile:
    """What a player offers for a topic of a bag: at least what the recorded publishers offered.

    Static transforms are latched even where the bag lost that, and deep enough for the messages of all its publishers;
    ``/tf``, which has many messages a second, is as deep as tf2's broadcaster.
    """
    if topic.name.split('/')[-1] == 'tf_static':
        return _profile(max(topic.count, 1), durability='transient_local')
    best_effort = [offer.reliability is QosReliability.BEST_EFFORT for offer in topic.qos]
    latched_offer = any(offer.durability is QosDurability.TRANSIENT_LOCAL for offer in topic.qos)
    depths = [offer.depth for offer in topic.qos] + [_TRANSFORMS] * (topic.name == '/tf')
    return _profile(
        max(depths, default=0) or 10,
        'best_effort' if best_effort and all(best_effort) else 'reliable',
        'transient_local' if latched_offer else 'volatile',
    )


def is_latched(topic: Topic) -> bool:
    """Whether what was said once on a topic of a bag holds from then on."""
    return bool(recorded(topic).durability == DurabilityPolicy.TRANSIENT_LOCAL)


def clock() -> QoSProfile:
    """``/clock``, as rclpy's time source subscribes to it."""
    return _profile(1, 'best_effort')
