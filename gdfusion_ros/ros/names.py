"""Names of topics."""

from __future__ import annotations

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from gdfusion_ros.errors import GdfusionError


def require_topic_name(name: str) -> None:
    """Make sure that ROS takes ``name`` for a topic.

    Raises:
        GdfusionError: it does not.
    """
    try:
        validate_topic_name(name)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise GdfusionError(f"'{name}' is no name of a topic: {reason}") from error
