"""All transforms of a bag, to be looked up at any of its stamps."""

from __future__ import annotations

from gdfusion_ros.bags.reader import BagReader
from gdfusion_ros.messages import decode
from gdfusion_ros.messages.inputs import TF_TYPE
from gdfusion_ros.perception.transforms import TransformTree
from gdfusion_ros.perception.types import nanoseconds
from gdfusion_ros.settings import TopicSettings

ALL_TIME = nanoseconds(1e9)
"""A history that forgets nothing [ns]."""


def transforms_of(bag: BagReader, topics: TopicSettings) -> TransformTree:
    """All transforms of a bag. Invalid ones are left out: what then cannot be told is named where it is needed."""
    tree = TransformTree(ALL_TIME)
    for topic, add in ((topics.tf_static_topic, tree.set_static), (topics.tf_topic, tree.set)):
        if topic in bag.topics:
            bag.require({topic: TF_TYPE})
        for item in bag.messages([topic]):
            valid, _ = decode.transforms(item.message, topic)
            for transform in valid:
                add(transform)
    return tree
