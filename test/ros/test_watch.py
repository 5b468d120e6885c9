"""What a live node says of inputs that are refused, clocks that stand still and grids that do not come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import Log

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import RawMessage
from gdfusion_ros.ros import qos

BACK, FRONT = ('/CAM_BACK/image/compressed', '/CAM_FRONT/image/compressed')
INFO = '/CAM_BACK/camera_info'


def with_content(topic: str, change: Callable[[Any], None]) -> Callable[[RawMessage], RawMessage]:
    """The messages of a topic, changed."""
    def edit(message: RawMessage) -> RawMessage:
        if message.topic != topic:
            return message
        content = typestore().deserialize_cdr(message.data, message.type_name)
        change(content)
        return message._replace(data=bytes(typestore().serialize_cdr(content, message.type_name)))

    return edit


def in_base_frame(image: Any) -> None:
    image.header.frame_id = 'base_link'


def without_size(info: Any) -> None:
    info.width = 0


def distorted(info: Any) -> None:
    info.d = 0.1 + 0 * info.k[:5]


def said(live: Any, begin: int, name: str, level: bytes) -> list[DiagnosticStatus]:
    """The statuses called ``name`` of a level since ``begin``."""
    return [status for array in live.diagnostics[begin:] for status in array.status
            if status.name == f'occ: {name}' and status.level == level]


@pytest.mark.parametrize(('topic', 'change', 'line', 'grids'), [
    (BACK, in_base_frame, "frame_id 'base_link' is the base_frame", 0),
    (INFO, without_size, 'camera info without an image size', 0), (INFO, distorted, 'lens distortion', 3)])
def test_what_is_wrong_with_a_topic_is_on_diagnostics(live: Any, drive: Path, edited: Callable[..., Path], topic: str,
                                                      change: Callable[[Any], None], line: str, grids: int) -> None:
    live.start_anew()  # it knows no camera info
    begin = len(live.diagnostics)
    live.play(edited(drive, with_content(topic, change)), grids)
    live.wait(lambda: said(live, begin, 'inputs', DiagnosticStatus.WARN))
    status, *_ = said(live, begin, 'inputs', DiagnosticStatus.WARN)
    values = {pair.key: pair.value for pair in live.diagnosis('inputs').values}
    assert line in status.message
    assert line in values[f'last: {topic}']
    assert values.get(f'refused: {topic}') == (None if grids else '3')


def test_a_reference_camera_whose_stamps_stand_still_is_named(live: Any, drive: Path,
                                                             edited: Callable[..., Path]) -> None:
    first: list[Any] = []

    def hang(image: Any) -> None:
        first.append(image.header.stamp)
        image.header.stamp = first[0]

    live.configure(grid_timeout=1.0)
    begin = len(live.diagnostics)

    def errors(name: str, *words: str) -> list[DiagnosticStatus]:
        return [status for status in said(live, begin, name, DiagnosticStatus.ERROR)
                if all(word in status.message for word in words)]

    bag = edited(drive, with_content(FRONT, hang))
    live.play_until(bag, lambda: errors('CAM_FRONT', 'their stamp stands still at')
                    and errors('grids', 'though images arrive', 'dropped from CAM_FRONT: duplicate'))
    status = errors('grids', 'dropped from CAM_FRONT: duplicate')[-1]
    values = {pair.key: pair.value for pair in status.values}
    assert float(values['without a grid for [s]']) > 1.0
    assert int(values['images of CAM_BACK since']) > 0
    ages = {pair.key: pair.value for pair in live.diagnosis('CAM_FRONT').values}
    assert float(ages['age by stamp [s]']) > float(ages['age by arrival [s]'])


def test_resets_of_the_memory_are_a_line_each(live: Any, drive: Path) -> None:
    lines: list[str] = []
    subscription = live._node.create_subscription(Log, '/rosout', lambda log: lines.append(log.msg), qos.recording())
    live.reset()
    live.play(drive, 6, loops=2)
    live.wait(lambda: [line for line in lines if 'memory starts anew' in line and 'time_jump' in line])
    assert all(line.count('\n') == 0 for line in lines if 'memory starts anew' in line)
    live._node.destroy_subscription(subscription)


def test_transforms_may_be_on_other_topics(live: Any, drive: Path, edited: Callable[..., Path], expected: Any) -> None:
    live.configure(tf_topic='/robot1/tf', tf_static_topic='/robot1/tf_static')
    bag = edited(drive, lambda message: message._replace(topic=f'/robot1{message.topic}')
                 if message.topic.startswith('/tf') else message)
    assert live.play(bag, 3).differences(expected) == []


def test_a_fixed_frame_that_is_the_base_frame_is_refused_at_the_start(live: Any) -> None:
    live.assert_not_configurable_with(fixed_frame='base_link')
