"""What the product reads: topics and their message types, the same live and from a bag."""

from __future__ import annotations

from gdfusion_ros.messages.clouds import CLOUD_TYPE
from gdfusion_ros.settings import PipelineSettings, TopicSettings

TF_TOPIC, TF_STATIC_TOPIC, TF_TYPE = '/tf', '/tf_static', 'tf2_msgs/msg/TFMessage'
"""Where transforms are written; where they are read, the settings tf_topic and tf_static_topic say."""

CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'


def input_topics(pipeline: PipelineSettings, topics: TopicSettings, *, lidar: bool = False) -> dict[str, str]:
    """Every topic that the pipeline reads -> its message type; with ``lidar`` for a network that looks at its depth.

    Subscribed to in this order, the transforms come last. Others get to know of subscriptions in the order in which
    they were made: a player that sees a subscription to /tf has seen those to all cameras.
    """
    return {
        **{topics.camera_info(camera): CAMERA_INFO_TYPE for camera in pipeline.cameras},
        **{topics.image(camera): topics.image_type for camera in pipeline.cameras},
        **({topics.lidar_topic: CLOUD_TYPE} if lidar else {}),
        topics.tf_topic: TF_TYPE,
        topics.tf_static_topic: TF_TYPE,
    }
