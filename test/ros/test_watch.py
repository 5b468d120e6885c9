"""What a live node says of inputs that are refused, clocks that stand still and grids that do not come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import Log

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import RawMessage
from gdfusion_ros.ros import qos

BACK, FRONT = ('/CAM_BACK/image/compressed', '/CAM_FRONT/image/compressed')
INFO = '/CAM_BACK/camera_info'
SETTINGS = ('grid_timeout=1.0',)


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


def of_a_film(image: Any) -> None:
    image.format, image.data = 'h264', np.frombuffer(b'\0\0\0\1g' + bytes(200), np.uint8)


def of_a_hostile_frame(image: Any) -> None:
    image.header.frame_id = 'odd\x1b[2J\u202e' + 3000 * 'x'


def second(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """Changes the second message only."""
    seen: list[Any] = []

    def edit(content: Any) -> None:
        seen.append(content)
        if len(seen) == 2:
            change(content)

    return edit


def distorted(info: Any) -> None:
    info.d = 0.1 + 0 * info.k[:5]


def said(live: Any, begin: int, name: str, level: bytes) -> list[DiagnosticStatus]:
    """The statuses called ``name`` of a level since ``begin``."""
    return [
        status
        for array in live.diagnostics[begin:]
        for status in array.status
        if status.name == f'occ: {name}' and status.level == level
    ]


@pytest.fixture(scope='module')
def rosout(live: Any) -> Iterator[list[str]]:
    """The lines that the node logs, from before the first bag is played."""
    lines: list[str] = []
    subscription = live._node.create_subscription(Log, '/rosout', lambda log: lines.append(log.msg), qos.recording())
    yield lines
    live._node.destroy_subscription(subscription)


def test_what_a_film_has_in_place_of_an_image_is_named(
    live: Any, drive: Path, edited: Callable[..., Path], rosout: list[str]
) -> None:
    line = "neither JPEG nor PNG; its format is 'h264'"
    begin = len(live.diagnostics)
    assert live.play(edited(drive, with_content(BACK, of_a_film)), 0).stamps == []
    live.wait(lambda: [text for text in rosout if BACK in text and line in text])
    live.wait(lambda: [status for status in said(live, begin, 'sets', DiagnosticStatus.WARN) if line in status.message])


def test_names_of_others_do_nothing_to_whoever_reads_the_log(
    live: Any, drive: Path, edited: Callable[..., Path], rosout: list[str]
) -> None:
    live.configure(tf_timeout=0.3)
    assert live.play(edited(drive, with_content(BACK, of_a_hostile_frame)), 0).stamps == []
    live.wait(lambda: [text for text in rosout if "frame 'odd\\x1b[2J\\u202exxx" in text])
    texts = [*rosout, *(status.message for array in live.diagnostics for status in array.status)]
    assert all(text.replace('\n', ' ').isprintable() and len(text) < 5000 for text in texts)


@pytest.mark.parametrize(
    ('topic', 'change', 'line', 'grids'),
    [
        (BACK, in_base_frame, "frame_id 'base_link' is the base_frame", 0),
        (INFO, second(without_size), 'camera info without an image size', 3),
        (INFO, distorted, 'lens distortion', 3),
    ],
)
def test_what_is_wrong_with_a_topic_is_said(
    live: Any,
    drive: Path,
    edited: Callable[..., Path],
    rosout: list[str],
    topic: str,
    change: Callable[[Any], None],
    line: str,
    grids: int,
) -> None:
    before = int(live.values('inputs').get(f'refused: {topic}', 0))
    begin = len(live.diagnostics)
    live.play(edited(drive, with_content(topic, change)), grids)
    live.wait(
        lambda: [status for status in said(live, begin, 'inputs', DiagnosticStatus.WARN) if line in status.message]
    )
    values = live.values('inputs')
    assert line in values[f'remark: {topic}' if change is distorted else f'last: {topic}']
    refused = int(values.get(f'refused: {topic}', 0)) - before
    assert refused == {in_base_frame: 3, distorted: 0}.get(change, 1)
    live.wait(lambda: [text for text in rosout if line in text])
    assert change is not distorted or len([text for text in rosout if line in text]) == 1


def test_a_camera_whose_clock_jumps_alone_is_named(
    live: Any, drive: Path, strung: Callable[..., Path], rosout: list[str]
) -> None:
    shown: list[Any] = []

    def behind(topic: str, message: Any) -> None:
        shown.append(topic)
        if topic == BACK and shown.count(topic) > 3:
            message.header.stamp.sec -= 20

    before = int(live.values('recurrent memory').get('reset: time_jump', 0))
    live.reset()
    begin = len(live.diagnostics)
    live.play(strung(drive, 4, behind), 3)
    line = 'the clock of the images of CAM_BACK jumped back by 19.'
    live.wait(
        lambda: [status for status in said(live, begin, 'inputs', DiagnosticStatus.WARN) if line in status.message]
    )
    assert live.values('inputs')['jumps of the clock: images of CAM_BACK'] == '1'
    assert int(live.values('recurrent memory').get('reset: time_jump', 0)) == before
    live.wait(lambda: [text for text in rosout if line in text])


def test_a_reference_camera_whose_stamps_stand_still_is_named(
    live: Any, drive: Path, edited: Callable[..., Path]
) -> None:
    first: list[Any] = []

    def hang(image: Any) -> None:
        first.append(image.header.stamp)
        image.header.stamp = first[0]

    live.reset()
    begin = len(live.diagnostics)

    def errors(name: str, *words: str) -> list[DiagnosticStatus]:
        return [
            status
            for status in said(live, begin, name, DiagnosticStatus.ERROR)
            if all(word in status.message for word in words)
        ]

    bag = edited(drive, with_content(FRONT, hang))
    live.play_until(
        bag,
        lambda: (
            errors('CAM_FRONT', 'their stamp stands still at')
            and errors('grids', 'though images arrive', 'dropped from CAM_FRONT: duplicate')
        ),
    )
    status = errors('grids', 'dropped from CAM_FRONT: duplicate')[-1]
    values = {pair.key: pair.value for pair in status.values}
    assert float(values['without a grid for [s]']) >= 1.0  # given with one decimal
    assert int(values['images of CAM_BACK since']) > 0
    ages = {pair.key: pair.value for pair in live.diagnosis('CAM_FRONT').values}
    assert float(ages['age by stamp [s]']) > float(ages['age by arrival [s]'])


def test_resets_of_the_memory_are_a_line_each(live: Any, drive: Path, rosout: list[str]) -> None:
    live.reset()
    begin = len(rosout)
    live.play(drive, 6, loops=2)
    live.wait(lambda: [line for line in rosout[begin:] if 'memory starts anew' in line and 'time_jump' in line])
    assert all(line.count('\n') == 0 for line in rosout if 'memory starts anew' in line)


def test_a_fixed_frame_that_is_the_base_frame_is_refused_at_the_start(live: Any) -> None:
    live.assert_not_configurable_with(fixed_frame='base_link')


def test_transforms_may_be_on_other_topics(live: Any, drive: Path, edited: Callable[..., Path], expected: Any) -> None:
    live.configure(tf_topic='/robot1/tf', tf_static_topic='/robot1/tf_static')
    bag = edited(
        drive,
        lambda message: (
            message._replace(topic=f'/robot1{message.topic}') if message.topic.startswith('/tf') else message
        ),
    )
    assert live.play(bag, 3).differences(expected) == []
