"""Bags played over DDS."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from mcap.writer import Writer

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import Topic, bag_reader
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros import player as player_module
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.player import Playback, installed, play, timeline

FRONT = '/CAM_FRONT/image/compressed'
IMAGES = [f'/{camera}/image/compressed' for camera in (
    'CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT')]


@contextmanager
def listening(topics: dict[str, str], profile: Any = None) -> Iterator[list[tuple[str, bytes, float]]]:
    """(topic, CDR, time of arrival) of everything on ``topics``."""
    heard: list[tuple[str, bytes, float]] = []
    with ros_node('listener') as node:
        for topic, type_name in topics.items():
            node.create_subscription(message_class(type_name), topic,
                                     lambda data, topic=topic: heard.append((topic, data, time.monotonic())),
                                     profile or qos.recording(), raw=True)
        with spinning(node):
            yield heard


def settle(heard: list[Any], count: int) -> None:
    """Wait for ``count`` messages, and a little for one too many."""
    deadline = time.monotonic() + 10
    while len(heard) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)


def test_everything_arrives_byte_for_byte_in_order(drive: Path) -> None:
    with bag_reader(drive) as reader:
        topics = {topic.name: topic.type_name for topic in reader.topics.values()}
        recorded = list(reader.raw_messages())
    with listening(topics) as heard:
        published = play([drive], Playback(rate=2, wait=10))
        settle(heard, len(recorded))
    assert published.total() == len(recorded)
    for topic in topics:
        assert [data for name, data, _ in heard if name == topic] \
            == [bytes(message.data) for message in recorded if message.topic == topic]


def test_messages_come_at_the_pace_of_their_record_times(drive: Path) -> None:
    with bag_reader(drive) as reader:
        stamps = [message.stamp for message in reader.raw_messages([FRONT])]
    with listening({FRONT: 'sensor_msgs/msg/CompressedImage'}) as heard:
        play([drive], Playback(rate=2, topics=(FRONT,), wait=10))
        settle(heard, len(stamps))
    times = [arrival for _, _, arrival in heard]
    lateness = [time - times[0] - (stamp - stamps[0]) / 2e9 for time, stamp in zip(times, stamps, strict=True)]
    assert min(lateness) > -0.05
    assert max(lateness) < 0.2, 'a busy machine is late, but not by a message: they come 0.25 s apart'


def test_who_comes_late_still_gets_the_static_transforms(drive: Path) -> None:
    player = Thread(target=play, args=([drive], Playback(rate=0.25)))
    player.start()
    time.sleep(0.5)
    with listening({'/tf_static': 'tf2_msgs/msg/TFMessage'}, qos.static_transforms()) as heard:
        settle(heard, 1)
    player.join()
    assert len(heard) == 1


def test_a_loop_goes_on_after_the_longest_pause_of_the_bag(drive: Path) -> None:
    with bag_reader(drive) as reader:
        once = list(timeline([reader], Playback(), IMAGES))
        twice = list(timeline([reader], Playback(loops=2), IMAGES))
    pauses = [later.due - earlier.due for earlier, later in itertools.pairwise(twice)]
    assert [event.message for event in twice] == 2 * [event.message for event in once]
    assert pauses[len(once) - 1] == pytest.approx(max(pauses[:len(once) - 1]))


def test_a_late_start_keeps_what_was_latched_before(drive: Path) -> None:
    with bag_reader(drive) as reader:
        origin = reader.start + 600_000_000
        events = list(timeline([reader], Playback(start=0.6), ['/tf_static', FRONT]))
    assert [event.message.topic for event in events] == ['/tf_static', FRONT]
    assert events[0].due == 0
    assert events[1].due == pytest.approx((events[1].message.stamp - origin) / 1e9)


def test_clock_shows_the_time_of_the_bag_and_never_runs_ahead(drive: Path) -> None:
    with bag_reader(drive) as reader:
        start, end = reader.start, reader.start + reader.duration
    topics = {'/clock': 'rosgraph_msgs/msg/Clock', FRONT: 'sensor_msgs/msg/CompressedImage'}
    with listening(topics, qos.clock()) as heard:
        play([drive], Playback(rate=2, clock=50, topics=(FRONT,), wait=10))
        settle(heard, 20)
    messages = [typestore().deserialize_cdr(data, 'rosgraph_msgs/msg/Clock').clock
                for topic, data, _ in heard if topic == '/clock']
    times = [message.sec * 10**9 + message.nanosec for message in messages]
    assert len(times) > 15
    assert times == sorted(times)
    assert start <= times[0] <= times[-1] <= end
    assert times[-1] - times[0] > 0.8 * (end - start)


def test_a_topic_that_is_not_there_is_named(drive: Path) -> None:
    with pytest.raises(GdfusionError, match=r'no topic /nope in .*; there are .*/CAM_BACK/camera_info'):
        play([drive], Playback(topics=('/nope',)))


def test_cameras_that_nobody_wants_keep_nobody_waiting(drive: Path) -> None:
    wanted = {FRONT: 'sensor_msgs/msg/CompressedImage', '/CAM_FRONT/camera_info': 'sensor_msgs/msg/CameraInfo',
              '/tf': 'tf2_msgs/msg/TFMessage'}
    with listening(wanted) as heard:
        published = play([drive], Playback(rate=4, wait=10))
        settle(heard, sum(published[topic] for topic in wanted))
    assert {topic for topic, _, _ in heard} == set(wanted)
    assert published['/CAM_BACK/image/compressed'] > 0


def test_topics_of_types_that_are_not_installed_are_left_out() -> None:
    lines: list[str] = []
    known, strange = Topic('/a', 'std_msgs/msg/String', 1, ()), Topic('/b', 'strange_msgs/msg/Thing', 1, ())
    assert list(installed({'/a': known, '/b': strange}, lines.append)) == ['/a']
    assert [line.partition(' is not installed')[0] for line in lines] == [
        '/b is not played: message type strange_msgs/msg/Thing']
    with pytest.raises(GdfusionError, match='strange_msgs/msg/Thing is not installed'):
        installed({'/b': strange}, lines.append)


@pytest.fixture
def odd_bag(tmp_path: Path) -> Path:
    """A file whose last message is due in three hundred years, with one message that is none of ROS 2."""
    with (tmp_path / 'odd.mcap').open('wb') as stream:
        writer = Writer(stream)
        writer.start(profile='ros2')
        channel = writer.register_channel('/text', 'cdr', writer.register_schema('std_msgs/msg/String', 'ros2msg', b''))
        other = writer.register_channel('/notes', 'json', writer.register_schema('note', 'jsonschema', b'{}'))
        writer.add_message(other, 100, b'{}', 100)
        for stamp in (100, 300 * 365 * 86400 * 10**9):
            writer.add_message(channel, stamp, b'\0\1\0\0\1\0\0\0\0', stamp)
        writer.finish()  # type: ignore[no-untyped-call]
    return tmp_path / 'odd.mcap'


def test_what_is_left_out_is_told_and_a_pause_of_years_is_waited_for(odd_bag: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def sleep(seconds: float) -> None:
        assert seconds <= 86400
        raise KeyboardInterrupt

    monkeypatch.setattr(player_module, 'time', SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        play([odd_bag], Playback(), told.append, told.append)
    assert told == ['1 messages on /notes are not played: note is json', '/text']


def test_a_time_that_clock_cannot_show_is_refused(odd_bag: Path) -> None:
    with pytest.raises(GdfusionError, match=r'odd.mcap has record times after 2038, which /clock cannot show'):
        play([odd_bag], Playback(clock=10))


def test_waiting_in_vain_names_the_lonely_topics(drive: Path) -> None:
    with pytest.raises(GdfusionError, match=r'nobody subscribed to /CAM_FRONT/image/compressed within 0.2 s'):
        play([drive], Playback(topics=(FRONT,), wait=0.2))


LISTENER = """
import sys
from gdfusion_ros.ros import qos
from gdfusion_ros.ros import player as player_module
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
with ros_node('frozen') as node:
    node.create_subscription(message_class('sensor_msgs/msg/CompressedImage'), sys.argv[1], lambda _: None,
                             qos.recording(), raw=True)
    with spinning(node):
        print('ready', flush=True)
        sys.stdin.read()
"""


def test_a_listener_that_hangs_is_not_waited_for_in_vain(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, '_ACKNOWLEDGEMENTS', 0.5)
    lines: list[str] = []
    listener = subprocess.Popen([sys.executable, '-c', LISTENER, FRONT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                env=environment.for_child())
    assert listener.stdout is not None
    assert listener.stdout.readline() == b'ready\n'
    try:
        published = play([drive], Playback(topics=(FRONT,), wait=20),
                         lambda _: listener.send_signal(signal.SIGSTOP), lines.append)
    finally:
        listener.kill()
        listener.communicate()
    assert published[FRONT] == 3
    assert lines == [f'a listener has not acknowledged everything on {FRONT} after 0.5 s']
