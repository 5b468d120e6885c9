"""How fast the time of ROS goes by: a bag that is played at half speed sends its images half as often."""

from __future__ import annotations

from rclpy.clock import ROSClock

from gdfusion_ros.perception.types import NANOSECONDS


class Pace:
    """Compares a node's clock with the monotonic one, from one look to the next."""

    def __init__(self, clock: ROSClock, now: float) -> None:
        """``now`` [s] is on the monotonic clock."""
        self._clock = clock
        self._last = now, self._seconds()

    def look(self, now: float) -> float:
        """Seconds of the node's clock in a second, since the last look; 0 while /clock stands still.

        1 where the node has the time of the system, and where time jumped back or ran ahead: a jump tells nothing.
        """
        seconds, (before, seconds_before) = self._seconds(), self._last
        self._last = now, seconds
        if not self._clock.ros_time_is_active or now <= before:
            return 1.0
        pace = (seconds - seconds_before) / (now - before)
        return pace if 0.0 <= pace <= 1.0 else 1.0

    def _seconds(self) -> float:
        return float(self._clock.now().nanoseconds / NANOSECONDS)
