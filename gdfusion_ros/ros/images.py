"""Raw images in encodings beyond the common ones, through cv_bridge where it is installed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.types import Pixels


def bridge() -> Callable[[Message], Pixels] | None:
    """A function that decodes any ``sensor_msgs/Image`` that cv_bridge knows; None where cv_bridge does not import.

    Its compiled part, made for the other major version of numpy, ends the import with AttributeError.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):
        return None
    converter = CvBridge()

    def decode(message: Message) -> Pixels:
        try:
            return np.asarray(converter.imgmsg_to_cv2(message, 'rgb8'), np.uint8)
        except (CvBridgeError, RuntimeError) as error:
            raise GdfusionError(f"cv_bridge cannot read an image of '{message.header.frame_id}' in encoding "
                                f"'{message.encoding}': {error}") from error

    return decode
