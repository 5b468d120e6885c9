"""Every quality of service that the product uses, by name."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITIES = ('best_effort', 'reliable')
DURABILITIES = ('volatile', 'transient_local')


def _profile(depth: int, reliability: str = 'reliable', durability: str = 'volatile') -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth,
                      reliability=ReliabilityPolicy[reliability.upper()],
                      durability=DurabilityPolicy[durability.upper()])


def camera(reliability: str, depth: int) -> QoSProfile:
    """Images and CameraInfo: best effort receives from every publisher, reliable only from reliable ones."""
    return _profile(depth, reliability)


def transforms() -> QoSProfile:
    """``/tf``, as tf2's listener."""
    return _profile(100)


def static_transforms() -> QoSProfile:
    """``/tf_static``, as tf2's listener and broadcaster: who comes late gets what was sent before."""
    return _profile(100, durability='transient_local')


def output(durability: str) -> QoSProfile:
    """Grids and pictures of them: the newest only; with transient_local who comes late gets the last one."""
    return _profile(1, durability=durability)


def latched() -> QoSProfile:
    """What is sent once and holds from then on."""
    return _profile(1, durability='transient_local')


def events(depth: int = 10) -> QoSProfile:
    """Messages of which each counts: diagnostics, measurements, what is recorded."""
    return _profile(depth)
