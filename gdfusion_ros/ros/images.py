"""Raw images in encodings beyond the common ones, through cv_bridge where it is installed."""

from __future__ import annotations

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.messages.images import Fallback
from gdfusion_ros.perception.types import Pixels


def bridge() -> Fallback | None:
    """A function that decodes any ``sensor_msgs/Image`` that cv_bridge knows; None where cv_bridge does not import.

    Its compiled part, made for the other major version of numpy, ends the import with AttributeError. Its later
    versions import OpenCV when a converter is made.
    """
    try:
        from cv_bridge import CvBridge

        converter = CvBridge()
    except (ImportError, AttributeError):
        return None

    def decode(message: Message, place: str) -> Pixels:
        try:
            return np.asarray(converter.imgmsg_to_cv2(message, 'rgb8'), np.uint8)
        except Exception as error:  # of a truncated message numpy, cv2 and cv_bridge make errors of many types
            reason = ' '.join(str(error).split())
            raise GdfusionError(f"{place}: cv_bridge cannot read encoding '{message.encoding}': {reason}") from error

    return decode
