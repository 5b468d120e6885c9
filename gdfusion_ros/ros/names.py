"""Names of topics."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from gdfusion_ros.errors import GdfusionError


def require_topic_name(name: str) -> None:
    """Make sure that ROS takes ``name`` for a topic.

    Raises:
        GdfusionError: it does not.
    """
    _require(name, validate_topic_name)


def require_full_topic_name(name: str) -> None:
    """Make sure that ``name`` is that of a topic from the root on, as bags keep it.

    Raises:
        GdfusionError: it is not.
    """
    _require(name, validate_full_topic_name)


def _require(name: str, validate: Callable[[str], object]) -> None:
    try:
        validate(name)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise GdfusionError(f"'{name}' is no name of a topic: {reason}") from error
