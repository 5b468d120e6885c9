"""Quality of service as bags keep it. Apart from qos.py: a node needs no library that reads bags."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from gdfusion_ros.bags.reader import Topic
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros.qos import TRANSFORMS, profile


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
    ``/tf``, which has many messages a second, is as deep as tf2's broadcaster, and so is a robot's own.
    """
    name = topic.name.split('/')[-1]
    if name == 'tf_static':
        return profile(max(topic.count, 1), durability='transient_local')
    best_effort = [offer.reliability is QosReliability.BEST_EFFORT for offer in topic.qos]
    latched_offer = any(offer.durability is QosDurability.TRANSIENT_LOCAL for offer in topic.qos)
    depths = [offer.depth for offer in topic.qos] + [TRANSFORMS] * (name == 'tf')
    return profile(
        max(depths, default=0) or 10,
        'best_effort' if best_effort and all(best_effort) else 'reliable',
        'transient_local' if latched_offer else 'volatile',
    )


def is_latched(topic: Topic) -> bool:
    """Whether what was said once on a topic of a bag holds from then on."""
    return bool(recorded(topic).durability == DurabilityPolicy.TRANSIENT_LOCAL)
