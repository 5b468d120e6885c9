"""Semantic grids of a bag, and the camera images that belong to them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

from gdfusion_ros.bags.messages import GRID_TYPE, typestore
from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.factory import Message, stamp_of
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import TopicSettings

_READERS = {'sensor_msgs/msg/CompressedImage': decode.compressed_image, 'sensor_msgs/msg/Image': decode.image}


def grid_at(bag: BagReader, topic: str, index: int) -> SemanticGrid:
    """The grid of ``topic`` at ``index`` in the order of the recording; negative ones count from the end.

    Raises:
        GdfusionError: no grids on that topic, an index beyond them, or a damaged message.
    """
    bag.require({topic: GRID_TYPE})
    count = bag.topics[topic].count
    if not -count <= index < count:
        raise GdfusionError(f'bag {bag.path} has {count} grids on {topic}, there is no number {index}')
    raw = next(islice(bag.raw_messages([topic]), index % count, None))
    return decode.semantic_grid(typestore().deserialize_cdr(raw.data, raw.type_name), topic)


def grid_near(bag: BagReader, topic: str, stamp: int) -> SemanticGrid:
    """The grid of ``topic`` whose stamp is nearest to ``stamp`` [ns].

    Raises:
        GdfusionError: no grids on that topic, or a damaged message.
    """
    bag.require({topic: GRID_TYPE})
    nearest = min((item.message for item in bag.messages([topic])),
                  key=lambda message: abs(stamp_of(message.header.stamp) - stamp))
    return decode.semantic_grid(nearest, topic)


def images_of(bag: BagReader, grid: SemanticGrid, topics: TopicSettings) -> dict[str, Pixels]:
    """(h, w, 3) RGB by camera: of each camera of the grid the image nearest to its stamp, within its spread of stamps.

    Images are looked for on the topics of both transports. A camera without such an image is left out.

    Raises:
        GdfusionError: an image cannot be decoded, or the bag is damaged.
    """
    images = {}
    for camera in grid.cameras:
        for transport in ('compressed', 'raw'):
            source = replace(topics, image_transport=transport)
            topic = source.image(camera)
            message = _nearest(bag, topic, source.image_type, grid)
            if message is not None:
                images[camera] = _READERS[source.image_type](message, topic).load()
    return images


def _nearest(bag: BagReader, topic: str, type_name: str, grid: SemanticGrid) -> Message | None:
    """The message of ``topic`` whose stamp is nearest to the grid's, if it is within the grid's spread of stamps."""
    if topic not in bag.topics or bag.topics[topic].type_name != type_name:
        return None
    offsets = ((abs(stamp_of(item.message.header.stamp) - grid.stamp), item.message)
               for item in bag.messages([topic]))
    offset, message = min(offsets, key=lambda pair: pair[0], default=(math.inf, None))
    return message if offset <= grid.stamp_spread else None
