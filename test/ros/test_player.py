"""Bags played over DDS."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from mcap.writer import Writer

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import Topic, bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros import clock as clock_module
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros import player as player_module
from gdfusion_ros.ros.clock import Clock
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.player import Playback, installed, play, timeline

FRONT = '/CAM_FRONT/image/compressed'
IMAGES = [
    f'/{camera}/image/compressed'
    for camera in ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_RIGHT', 'CAM_BACK', 'CAM_BACK_LEFT')
]


@contextmanager
def listening(topics: dict[str, str], profile: Any = None) -> Iterator[list[tuple[str, bytes]]]:
    """(topic, CDR) of everything on ``topics``."""
    heard: list[tuple[str, bytes]] = []
    with ros_node('listener') as node:
        for topic, type_name in topics.items():
            node.create_subscription(
                message_class(type_name),
                topic,
                lambda data, topic=topic: heard.append((topic, data)),
                profile or qos.recording(),
                raw=True,
            )
        with spinning(node):
            yield heard


class Time:
    """Instead of the module ``time``: it goes by while somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The time of the player."""
    made = Time()
    monkeypatch.setattr(player_module, 'time', made)
    monkeypatch.setattr(clock_module, 'time', made)
    return made


def test_everything_arrives_byte_for_byte_in_order(
    drive: Path, wait_until: Callable[..., None], patience: float
) -> None:
    with bag_reader(drive) as reader:
        topics = {topic.name: topic.type_name for topic in reader.topics.values()}
        recorded = list(reader.raw_messages())
    with listening(topics) as heard:
        published = play([drive], Playback(rate=2, wait=patience))
        wait_until(lambda: len(heard) >= len(recorded))
    assert published.total() == len(recorded)
    for topic in topics:
        assert [data for name, data in heard if name == topic] == [
            bytes(message.data) for message in recorded if message.topic == topic
        ]


def test_messages_are_sent_at_the_pace_of_their_record_times(drive: Path, own_time: Time) -> None:
    with bag_reader(drive) as reader:
        due = [(message.stamp - reader.start) / 2e9 for message in reader.raw_messages([FRONT])]
    sent: list[float] = []
    play([drive], Playback(rate=2, topics=(FRONT,)), lambda _: sent.append(own_time.now))
    assert sent == pytest.approx(due)


def test_who_is_late_catches_up(drive: Path, own_time: Time) -> None:
    with bag_reader(drive) as reader:
        last = [message.stamp - reader.start for message in reader.raw_messages([FRONT])][-1] / 1e9
    sent: list[float] = []

    def hold_up(_topic: str) -> None:
        sent.append(own_time.now)
        own_time.now += 0.7

    play([drive], Playback(topics=(FRONT,)), hold_up)
    assert sent == pytest.approx([sent[0], sent[0] + 0.7, sent[0] + 1.4])
    assert sent[0] < last < sent[2]


def test_who_comes_late_still_gets_the_static_transforms(drive: Path, wait_until: Callable[..., None]) -> None:
    published, heard_of = Event(), Event()

    def hold(topic: str) -> None:
        if topic == '/tf_static':
            published.set()
            heard_of.wait()

    player = Thread(target=play, args=([drive], Playback(rate=10), hold), daemon=True)
    player.start()
    wait_until(published.is_set)
    with listening({'/tf_static': 'tf2_msgs/msg/TFMessage'}, qos.static_transforms()) as heard:
        wait_until(lambda: heard)
        heard_of.set()
        player.join()
    assert len(heard) == 1


def test_a_loop_goes_on_after_the_longest_pause_of_the_bag(drive: Path) -> None:
    with bag_reader(drive) as reader:
        once = list(timeline([reader], Playback(), IMAGES))
        twice = list(timeline([reader], Playback(loops=2), IMAGES))
    pauses = [later.due - earlier.due for earlier, later in itertools.pairwise(twice)]
    assert [event.message for event in twice] == 2 * [event.message for event in once]
    assert pauses[len(once) - 1] == pytest.approx(max(pauses[: len(once) - 1]))


def test_a_late_start_keeps_what_was_latched_before(drive: Path) -> None:
    with bag_reader(drive) as reader:
        origin = reader.start + 600_000_000
        events = list(timeline([reader], Playback(start=0.6), ['/tf_static', FRONT]))
    assert [event.message.topic for event in events] == ['/tf_static', FRONT]
    assert events[0].due == 0
    assert events[1].due == pytest.approx((events[1].message.stamp - origin) / 1e9)


def test_clock_shows_the_time_of_the_bag_and_never_runs_ahead(
    drive: Path, own_time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[float, int]] = []
    ticker = SimpleNamespace(period=0.02, show=lambda stamp: shown.append((own_time.now, stamp)))
    monkeypatch.setattr(player_module, 'Clock', lambda node, rate: ticker)
    play([drive], Playback(rate=2, clock=50, topics=(FRONT,)))
    with bag_reader(drive) as reader:
        assert [stamp - reader.start for _, stamp in shown] == pytest.approx([2e9 * now for now, _ in shown], abs=1000)
        assert shown[-1][1] == list(reader.raw_messages([FRONT]))[-1].stamp
    assert max(later - earlier for (earlier, _), (later, _) in itertools.pairwise(shown)) == pytest.approx(0.02)


def test_clock_is_published_at_its_rate(own_time: Time) -> None:
    published: list[Any] = []
    with ros_node('clock') as node:
        clock = Clock(node, 50)
        clock._publisher = SimpleNamespace(publish=published.append)
        for number in range(100):
            own_time.now = number / 1000
            clock.show(number)
    assert [message.clock.nanosec for message in published] == [0, 20, 40, 60, 80]


def test_clock_is_heard(wait_until: Callable[..., None]) -> None:
    with listening({'/clock': 'rosgraph_msgs/msg/Clock'}, qos.clock()) as heard, ros_node('clock') as node:
        clock = Clock(node, 50)

        def show() -> bool:
            clock.show(7_000_000_001)
            return bool(heard)

        wait_until(show)
    message: Any = typestore().deserialize_cdr(heard[0][1], 'rosgraph_msgs/msg/Clock')
    assert (message.clock.sec, message.clock.nanosec) == (7, 1)


def test_a_topic_that_is_not_there_is_named(drive: Path) -> None:
    with pytest.raises(GdfusionError, match=r'no topic /nope in .*; there are .*/CAM_BACK/camera_info'):
        play([drive], Playback(topics=('/nope',)))


def test_cameras_that_nobody_wants_keep_nobody_waiting(
    drive: Path, wait_until: Callable[..., None], patience: float
) -> None:
    wanted = {
        FRONT: 'sensor_msgs/msg/CompressedImage',
        '/CAM_FRONT/camera_info': 'sensor_msgs/msg/CameraInfo',
        '/tf': 'tf2_msgs/msg/TFMessage',
    }
    with listening(wanted) as heard:
        published = play([drive], Playback(rate=4, wait=patience))
        wait_until(lambda: len(heard) >= sum(published[topic] for topic in wanted))
    assert {topic for topic, _ in heard} == set(wanted)
    assert published['/CAM_BACK/image/compressed'] > 0


def test_topics_of_types_that_are_not_installed_are_left_out() -> None:
    lines: list[str] = []
    known, strange = Topic('/a', 'std_msgs/msg/String', 1, ()), Topic('/b', 'strange_msgs/msg/Thing', 1, ())
    assert list(installed({'/a': known, '/b': strange}, lines.append)) == ['/a']
    assert [line.partition(' is not installed')[0] for line in lines] == [
        '/b is not played: message type strange_msgs/msg/Thing'
    ]
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
        writer.finish()
    return tmp_path / 'odd.mcap'


def test_what_is_left_out_is_told_and_a_pause_of_years_is_waited_for(
    odd_bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_listener_that_hangs_is_not_waited_for_in_vain(
    drive: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(player_module, '_ACKNOWLEDGEMENTS', 0.5)
    lines: list[str] = []
    listener = subprocess.Popen(
        [sys.executable, '-c', LISTENER, FRONT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment.for_child(),
    )
    assert listener.stdout is not None
    try:
        assert b'ready\n' in listener.stdout, 'Fast DDS may write lines of its own before'
        published = play(
            [drive],
            Playback(topics=(FRONT,), wait=patience),
            lambda _: listener.send_signal(signal.SIGSTOP),
            lines.append,
        )
    finally:
        listener.kill()
        listener.communicate()
    assert published[FRONT] == 3
    assert lines == [f'a listener has not acknowledged everything on {FRONT} after 0.5 s']


def test_nothing_to_play_is_an_error_and_no_endless_loop(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(GdfusionError, match='s long: --start 100 is later'):
        play([drive], Playback(start=100.0, loops=0))
    with bag_writer(tmp_path / 'empty') as writer:
        writer.add_topic('/text', 'std_msgs/msg/String')
    with pytest.raises(GdfusionError, match='empty: no messages on /text'):
        play([tmp_path / 'empty'], Playback(loops=0))
