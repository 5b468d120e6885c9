"""The live node as its own process, fed over DDS: its grids are those of a replay, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.datasets import nuscenes
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
BACK = '/CAM_BACK/image/compressed'


def without(bag: Path, topic: str) -> tuple[str, ...]:
    with bag_reader(bag) as reader:
        return tuple(name for name in reader.topics if name != topic)


def test_live_equals_replay(live: Any, drive: Path, expected: Any) -> None:
    assert live.play(drive, 3).differences(expected) == []


def test_live_equals_replay_on_real_images(live: Any, shared: Path, tmp_path: Path,
                                           replayed: Callable[[Path], Any]) -> None:
    [job] = plan(nuscenes.load(shared / 'data' / 'nuscenes_mini', scenes=('scene-0103',)), tmp_path)
    convert(job)
    assert live.play(job.path, 2).differences(replayed(job.path)) == []


def test_a_loop_gives_the_same_grids_again(live: Any, drive: Path, expected: Any) -> None:
    looped = live.play(drive, 6, loops=2)
    assert looped.differences(expected.repeated(2)) == []
    assert [grid.frames_since_reset for grid in looped.decoded] == [1, 2, 3, 1, 2, 3]


def test_late_transforms_lose_no_set(live: Any, drive: Path, edited: Callable[..., Path],
                                     expected: Any) -> None:
    late = edited(drive, lambda message: message._replace(stamp=message.stamp + 300_000_000)
                  if message.topic == '/tf' else message)
    assert live.play(late, 3).differences(expected) == []


def test_a_corrupt_image_costs_one_set(live: Any, drive: Path, edited: Callable[..., Path],
                                       expected: Any) -> None:
    seen = []

    def cut_the_second(message: RawMessage) -> RawMessage:
        if message.topic != BACK:
            return message
        seen.append(message)
        image = typestore().deserialize_cdr(message.data, COMPRESSED)
        if len(seen) == 2:
            image.data = image.data[:100]
        return message._replace(data=bytes(typestore().serialize_cdr(image, COMPRESSED)))

    grids = live.play(edited(drive, cut_the_second), 2)
    assert grids.stamps == [expected.stamps[0], expected.stamps[2]]
    assert grids.messages['/occ/occupancy'][0] == expected.messages['/occ/occupancy'][0]
    assert [grid.frames_since_reset for grid in grids.decoded] == [1, 2]
    assert live.values('sets')['refused: image'] == '1'


def test_a_reset_forgets_the_past(live: Any, drive: Path) -> None:
    with bag_reader(drive) as reader:
        half = reader.start + 700_000_000
    first = live.play(drive, 3)
    assert live.reset().success
    last = live.play(drive, 1, start=0.7)
    assert last.stamps == [stamp for stamp in first.stamps if stamp > half]
    assert [grid.frames_since_reset for grid in last.decoded] == [1]
    assert live.values('recurrent memory')['reset: service'] == '1'


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
