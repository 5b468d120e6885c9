"""Semantic grids of a bag, and the camera images that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from gdfusion_ros.bags.reader import BagReader, RawMessage
from gdfusion_ros.bags.messages import GRID_TYPE, typestore
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.factory import stamp_of
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import TopicSettings

IMAGE_READERS = {'sensor_msgs/msg/CompressedImage': decode.compressed_image, 'sensor_msgs/msg/Image': decode.image}
