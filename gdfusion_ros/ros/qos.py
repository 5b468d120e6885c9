"""Every quality of service that the product uses, by name; those of bags: bag_qos.py."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

EVERY_MESSAGE = 1000
"""Depth of a queue that shall lose nothing, however late its reader comes to it."""

TRANSFORMS = 100
"""Depth of a queue of transforms, as tf2's listener and broadcaster have it."""


def profile(depth: int, reliability: str = 'reliable', durability: str = 'volatile') -> QoSProfile:
    """The newest ``depth`` messages."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy[durability.upper()],
    )


def sensor(reliability: str, depth: int) -> QoSProfile:
    """Images, CameraInfo, clouds: best effort receives from every publisher, reliable only from reliable ones."""
    return profile(depth, reliability)


def transforms(depth: int = TRANSFORMS) -> QoSProfile:
    """``/tf``, as tf2's listener, or deeper."""
    return profile(depth)


def static_transforms() -> QoSProfile:
    """``/tf_static``, as tf2's listener and broadcaster: who comes late gets what was sent before."""
    return profile(TRANSFORMS, durability='transient_local')


def output(durability: str) -> QoSProfile:
    """Grids and pictures of them: the newest only; with transient_local who comes late gets the last one."""
    return profile(1, durability=durability)


def latched() -> QoSProfile:
    """What is sent once and holds from then on."""
    return profile(1, durability='transient_local')


def events() -> QoSProfile:
    """Messages of which each counts, for those who are there: diagnostics, measurements."""
    return profile(10)


def recording(offers: Sequence[QoSProfile] = ()) -> QoSProfile:
    """A subscription that misses nothing of publishers with these ``offers``: it asks for what all of them give."""
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = bool(offers) and all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return profile(
        EVERY_MESSAGE, 'reliable' if reliable else 'best_effort', 'transient_local' if latched else 'volatile'
    )


def clock() -> QoSProfile:
    """``/clock``, as rclpy's time source subscribes to it."""
    return profile(1, 'best_effort')
