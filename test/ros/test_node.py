"""The live node as its own process, fed over DDS: its grids are those of a replay, bit for bit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.qos import LATCHED
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.ros.clock import NoClock
from gdfusion_ros.ros.context import ros_node
from gdfusion_ros.ros.player import Event, Player

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
BACK = '/CAM_BACK/image/compressed'


def without(bag: Path, topic: str) -> tuple[str, ...]:
    with bag_reader(bag) as reader:
        return tuple(name for name in reader.topics if name != topic)


def test_live_equals_replay(live: Any, drive: Path, expected: Any) -> None:
    assert live.play(drive, 3).differences(expected) == []


def test_live_equals_replay_on_real_images(
    live: Any, shared: Path, tmp_path: Path, replayed: Callable[[Path], Any]
) -> None:
    [job] = plan(nuscenes.load(shared / 'data' / 'nuscenes_mini', scenes=('scene-0103',)), tmp_path)
    convert(job)
    assert live.play(job.path, 2).differences(replayed(job.path)) == []


@pytest.mark.parametrize(('rate', 'loops'), [(1.0, 2), (20.0, 3)])
def test_a_loop_gives_the_same_grids_again(live: Any, drive: Path, expected: Any, rate: float, loops: int) -> None:
    looped = live.play(drive, 3 * loops, rate=rate, loops=loops)
    assert looped.differences(expected.repeated(loops)) == []
    assert [grid.frames_since_reset for grid in looped.decoded] == loops * [1, 2, 3]


def test_late_transforms_lose_no_set(live: Any, drive: Path, edited: Callable[..., Path], expected: Any) -> None:
    late = edited(
        drive,
        lambda message: message._replace(stamp=message.stamp + 300_000_000) if message.topic == '/tf' else message,
    )
    assert live.play(late, 3).differences(expected) == []


def test_a_corrupt_image_costs_one_set(live: Any, drive: Path, edited: Callable[..., Path], expected: Any) -> None:
    seen = []

    def cut_the_second(message: RawMessage) -> RawMessage:
        if message.topic != BACK:
            return message
        seen.append(message)
        image: Any = typestore().deserialize_cdr(message.data, COMPRESSED)
        if len(seen) == 2:
            image.data = image.data[:100]
        return message._replace(data=bytes(typestore().serialize_cdr(image, COMPRESSED)))

    grids = live.play(edited(drive, cut_the_second), 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]]
    assert grids.messages['/occ/occupancy'][0] == expected.messages['/occ/occupancy'][0]
    assert [grid.frames_since_reset for grid in grids.decoded] == [1, 2]
    assert live.values('sets')['refused: image'] == '1'


def changed(message: RawMessage, **fields: Any) -> RawMessage:
    """The message with other values in its fields, by the names that these have in it."""
    content = typestore().deserialize_cdr(message.data, message.type_name)
    for name, value in fields.items():
        setattr(content, name, value)
    return message._replace(data=bytes(typestore().serialize_cdr(content, message.type_name)))


def coded(pixels: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return np.frombuffer(stream.getvalue(), np.uint8)


def second_set(topic: str, **fields: Any) -> Callable[[RawMessage], RawMessage]:
    """Changes the second message of a topic."""
    seen: list[str] = []

    def change(message: RawMessage) -> RawMessage:
        seen.append(message.topic)
        return changed(message, **fields) if message.topic == topic and seen.count(topic) == 2 else message

    return change


def test_an_odd_image_costs_one_set(live: Any, drive: Path, edited: Callable[..., Path], expected: Any) -> None:
    before = int(live.values('sets').get('refused: image', 0))
    odd = coded(np.zeros((2, 1600), np.uint8), 'JPEG')
    grids = live.play(edited(drive, second_set(BACK, data=odd)), 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]]
    live.wait(lambda: int(live.values('sets')['refused: image']) == before + 1)


def most_memory(live: Any) -> int:
    """The most that the node has had since it was forgotten [kB]; this forgets it."""
    process = Path('/proc') / str(live.process)
    most = int(re.findall(r'^VmHWM:\s*(\d+) kB', (process / 'status').read_text(), re.MULTILINE)[0])
    (process / 'clear_refs').write_text('5')
    return most


def test_images_of_other_sizes_are_not_even_decoded(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    narrow = second_set(BACK, data=coded(np.zeros((5999, 3), np.uint8), 'JPEG'))
    large = second_set('/CAM_FRONT/image/compressed', data=coded(np.zeros((6000, 8000), np.uint8), 'JPEG'))
    most_memory(live)
    live.play(drive, 3)
    usual = most_memory(live)
    live.reset()
    grids = live.play(edited(drive, lambda message: narrow(large(message))), 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]]
    assert most_memory(live) < usual + 46_000, 'the larger one has 48 million pixels'


def grey(kind: type[np.unsignedinteger[Any]], text: str) -> Callable[[RawMessage], RawMessage]:
    """The green channel of every image, in 8 or 16 bits."""

    def change(message: RawMessage) -> RawMessage:
        if message.type_name != COMPRESSED:
            return message
        picture: Any = typestore().deserialize_cdr(message.data, COMPRESSED)
        pixels = np.asarray(Image.open(BytesIO(picture.data)))[..., 1].astype(kind)
        return changed(message, data=coded(pixels * 257 if kind is np.uint16 else pixels, 'PNG'), format=text)

    return change


def test_sixteen_bits_are_scaled(
    live: Any, drive: Path, edited: Callable[..., Path], tmp_path: Path, replayed: Callable[[Path], Any]
) -> None:
    of_eight_bits = edited(drive, grey(np.uint8, 'mono8; png compressed mono8')).rename(tmp_path / 'eight')
    bag = edited(drive, grey(np.uint16, 'mono16; png compressed mono16'))
    assert live.play(bag, 3).differences(replayed(of_eight_bits)) == []


def test_an_implausible_camera_info_costs_nothing(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    k = np.array([126.0, 0.0, 1e39, 0.0, 126.0, 45.0, 0.0, 0.0, 1.0])
    bag = edited(drive, second_set('/CAM_BACK/camera_info', k=k, p=np.zeros(12)))
    assert live.play(bag, 3).differences(expected) == []


def test_a_pose_that_no_vehicle_reaches_costs_one_set(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    far = expected.stamps[1] + 25_100_000  # CAM_BACK's

    def change(message: RawMessage) -> RawMessage:
        if message.topic != '/tf' or message.stamp != far:
            return message
        content: Any = typestore().deserialize_cdr(message.data, message.type_name)
        transforms = content.transforms
        transforms[0].transform.translation.y = 1e6
        return changed(message, transforms=transforms)

    grids = live.play(edited(drive, change), 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]]
    assert [grid.frames_since_reset for grid in grids.decoded] == [1, 2]
    live.wait(lambda: live.values('sets').get('dropped: ego_jump') == '1')


def test_a_turn_that_no_vehicle_makes_starts_the_memory_anew(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    def change(message: RawMessage) -> RawMessage:
        """Between the first set and the second the vehicle is found to look the other way."""
        if message.topic != '/tf' or message.stamp < expected.stamps[1] - 100_000_000:
            return message
        content: Any = typestore().deserialize_cdr(message.data, message.type_name)
        turn = content.transforms[0].transform.rotation
        turn.x, turn.y, turn.z, turn.w = turn.y, -turn.x, turn.w, -turn.z
        return changed(message, transforms=content.transforms)

    grids = live.play(edited(drive, change), 3)
    assert [grid.frames_since_reset for grid in grids.decoded] == [1, 1, 2]
    assert live.values('recurrent memory')['reset: ego_turn'] == '1'


def test_forty_thousand_frames_do_not_matter(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    def change(message: RawMessage) -> RawMessage:
        if message.topic != '/tf_static':
            return message
        content: Any = typestore().deserialize_cdr(message.data, message.type_name)
        others = [
            dataclasses.replace(content.transforms[0], child_frame_id=f'frame_{number}') for number in range(40_000)
        ]
        return changed(message, transforms=content.transforms + others)

    assert live.play(edited(drive, change), 3).differences(expected) == []


def test_mosaics_of_a_region_of_binned_pixels_are_as_in_a_replay(
    live: Any, drive: Path, edited: Callable[..., Path], replayed: Callable[[Path], Any]
) -> None:
    pytest.importorskip('cv2')

    def change(message: RawMessage) -> RawMessage:
        if message.topic.endswith('/camera_info'):
            content: Any = typestore().deserialize_cdr(message.data, message.type_name)
            content.roi.y_offset, content.roi.width, content.roi.height = 20, 160, 70
            return changed(message, roi=content.roi, binning_x=2, binning_y=2)
        if message.type_name == COMPRESSED:
            picture: Any = typestore().deserialize_cdr(message.data, COMPRESSED)
            mosaic = np.ascontiguousarray(np.asarray(Image.open(BytesIO(picture.data)))[20::2, ::2, 1])
            return changed(message, data=coded(mosaic, 'PNG'), format='bayer_rggb8; png compressed ')
        return message

    bag = edited(drive, change)
    assert live.play(bag, 3).differences(replayed(bag)) == []


def test_calibration_that_was_latched_before_the_node_came_is_heard(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    with bag_reader(drive) as reader, ros_node('calibration') as node:
        names = [name for name in reader.topics if name.endswith('/camera_info')]
        topics = {name: dataclasses.replace(reader.topics[name], qos=(LATCHED,)) for name in names}
        Player(node, topics).play((Event(0.0, message) for message in reader.raw_messages(names)), 1.0, NoClock())
        live.start_anew()
        bag = edited(drive, lambda message: None if message.topic in topics else message)
        assert live.play(bag, 3).differences(expected) == []


def test_a_reset_forgets_the_past(live: Any, drive: Path) -> None:
    with bag_reader(drive) as reader:
        half = reader.start + 700_000_000
    first = live.play(drive, 3)
    before = int(live.values('recurrent memory').get('reset: service', '0'))
    assert live.reset().success
    last = live.play(drive, 1, start=0.7)
    assert last.stamps == [stamp for stamp in first.stamps if stamp > half]
    assert [grid.frames_since_reset for grid in last.decoded] == [1]
    assert live.values('recurrent memory')['reset: service'] == f'{before + 1}'


def test_a_silent_camera_is_named_and_skips_its_sets(live: Any, drive: Path) -> None:
    grids = live.play(drive, 0, topics=without(drive, BACK))
    assert grids.stamps == []
    status = live.diagnosis('CAM_BACK', lambda status: status.level != DiagnosticStatus.OK)
    assert status.level == DiagnosticStatus.ERROR
    assert f', on {BACK}' in status.message


def test_without_transforms_every_set_is_dropped_and_counted(live: Any, drive: Path) -> None:
    live.configure(tf_timeout=0.3)
    grids = live.play(drive, 0, topics=without(drive, '/tf'))
    assert grids.stamps == []
    live.wait(lambda: live.values('sets').get('dropped: transform') == '3')
