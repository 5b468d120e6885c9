"""Annotated boxes as markers for RViz and Foxglove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gdfusion_ros.datasets.categories import label_of
from gdfusion_ros.datasets.nuscenes import Box
from gdfusion_ros.messages.encode import clear_markers, pose
from gdfusion_ros.messages.factory import Message, MessageFactory, header

MARKERS_TYPE = 'visualization_msgs/msg/MarkerArray'

# visualization_msgs/Marker
_CUBE, _ADD = 1, 0
_OPACITY = 0.5


def markers(boxes: Sequence[Box], ids: Mapping[str, int], stamp: int, frame_id: str, make: MessageFactory) -> Message:
    """``visualization_msgs/MarkerArray`` with the boxes of one sample and no others.

    They stay until the next array, whose first marker deletes them: a lifetime would make them vanish in a player that
    is paused. Namespaces are classes, so that a display can switch them.

    Args:
        boxes: What there is.
        ids: Instance token -> marker id, which a thing keeps.
        stamp: Of the sample [ns].
        frame_id: The frame of the boxes' poses.
        make: See MessageFactory.
    """
    head = header(stamp, frame_id, make)
    clear = clear_markers(stamp, frame_id, make).markers
    return make(MARKERS_TYPE, markers=[*clear, *(_marker(box, ids[box.instance], head, make) for box in boxes)])


def _marker(box: Box, marker_id: int, head: Message, make: MessageFactory) -> Message:
    width, length, height = box.size
    label = label_of(box.category)
    red, green, blue = (channel / 255 for channel in label.color)
    return make(
        'visualization_msgs/msg/Marker',
        header=head,
        ns=label.name,
        id=marker_id,
        type=_CUBE,
        action=_ADD,
        pose=pose(box.pose.translation, make, box.pose.rotation),
        scale=make('geometry_msgs/msg/Vector3', x=length, y=width, z=height),
        color=make('std_msgs/msg/ColorRGBA', r=red, g=green, b=blue, a=_OPACITY),
    )
