"""What other processes publish, in a bag, and out of it again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import BagWriter
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros.clock import NoClock
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.player import Playback, Player, select_topics, timeline
from gdfusion_ros.ros.recorder import record

STRING = 'std_msgs/msg/String'
LABELS = '/occ/label_info'
STREAMS = {
    '/reliable': 'reliable, volatile',
    '/best_effort': 'best_effort, volatile',
    '/held': 'reliable, transient_local',
    '/mixed': 'best_effort, volatile',
}
TOPICS = dict.fromkeys((LABELS, *STREAMS), STRING)

# Publishes what it was before anybody listens, then one message more on every stream for each line that it is given.
PUBLISHER = """
import sys
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from gdfusion_ros.ros.context import ros_node
def profile(text):
    reliability, durability = text.upper().split(', ')
    return QoSProfile(depth=100, reliability=ReliabilityPolicy[reliability], durability=DurabilityPolicy[durability])
streams = dict(argument.split('=') for argument in sys.argv[1:])
with ros_node('talker') as node:
    publishers = {topic: node.create_publisher(String, topic, profile(text)) for topic, text in streams.items()}
    second = node.create_publisher(String, '/mixed', profile('reliable, transient_local'))
    labels = node.create_publisher(String, '/occ/label_info', profile('reliable, transient_local'))
    labels.publish(String(data='names'))
    publishers['/held'].publish(String(data='before'))
    print('ready', flush=True)
    for line in sys.stdin:
        for publisher in publishers.values():
            publisher.publish(String(data=line.strip()))
"""


class Talker:
    """A process that publishes STREAMS and LABELS.

    Attributes:
        said: Lines so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said = 0

    def say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f'{text}\n')
        self._process.stdin.flush()
        self.said += 1


@contextmanager
def talking() -> Iterator[Talker]:
    arguments = [f'{topic}={text}' for topic, text in STREAMS.items()]
    process = subprocess.Popen(
        [sys.executable, '-c', PUBLISHER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment.for_child(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == 'ready\n'
    yield Talker(process)
    process.communicate()


def offered(bag: Path) -> dict[str, set[str]]:
    """Reliability and durability of every topic, as metadata.yaml has them, in whatever form."""
    content = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    names = {'reliability': {1: 'reliable', 2: 'best_effort'}, 'durability': {1: 'transient_local', 2: 'volatile'}}
    found: dict[str, set[str]] = {}
    for row in content['topics_with_message_count']:
        profiles = row['topic_metadata']['offered_qos_profiles']
        profiles = yaml.safe_load(profiles) if isinstance(profiles, str) else profiles
        found[row['topic_metadata']['name']] = {
            ', '.join(names[name].get(profile[name], profile[name]) for name in names) for profile in profiles
        }
    return found


def texts(bag: Path, topic: str) -> list[str]:
    with bag_reader(bag) as reader:
        return [item.message.data for item in reader.messages([topic])]


@contextmanager
def hearing(topic: str, profile: QoSProfile) -> Iterator[list[str]]:
    """What is heard on ``topic`` from now on."""
    heard: list[str] = []
    with ros_node('late') as node:
        node.create_subscription(String, topic, lambda message: heard.append(message.data), profile)
        with spinning(node):
            yield heard


@pytest.fixture(scope='module', params=[('mcap', 'jazzy'), ('sqlite3', 'humble')], ids='-'.join)
def recording(
    request: pytest.FixtureRequest,
    ros_graph: None,
    wait_until: Callable[..., None],
    patience: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What the talker says, from the moment on that it can be heard; it is gone when the recording is there."""
    storage, bag_format = request.param
    bag = tmp_path_factory.mktemp('recorded') / 'bag'
    with talking() as talker, record(bag, TOPICS, storage=storage, bag_format=bag_format) as recorder:
        recorder.wait_for_publishers(patience)
        for topic in STREAMS:
            # Best effort publishers do not wait for their reader, nor does anybody know when they see it.
            while not recorder.counts[topic] > (topic == '/held'):
                talker.say('again')
                recorder.wait_for(topic, 2, 0.2)
        recorder.wait_for(LABELS, 1, patience)
        talker.say('last')
        wait_until(lambda: (recorder.counts['/reliable'], recorder.counts['/held']) == (talker.said, talker.said + 1))
    content = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert (content['storage_identifier'], content['version']) == (storage, {'jazzy': 9, 'humble': 8}[bag_format])
    return bag


def test_the_bag_says_what_publishers_offer(recording: Path) -> None:
    assert offered(recording) == {LABELS: {'reliable, transient_local'}} | {
        topic: {text} for topic, text in STREAMS.items()
    } | {'/mixed': {'best_effort, volatile', 'reliable, transient_local'}}


def test_every_kind_of_publisher_is_heard(recording: Path) -> None:
    with bag_reader(recording) as reader:
        assert reader.count([LABELS]) == 1
    assert texts(recording, '/held')[0] == 'before'
    assert {topic for topic in STREAMS if 'again' in texts(recording, topic)} == set(STREAMS)
    assert texts(recording, '/reliable')[-1] == 'last'


def test_a_bag_played_again_latches_what_was_latched(recording: Path, wait_until: Callable[..., None]) -> None:
    with bag_reader(recording) as reader, ros_node('player') as node:
        topics = select_topics([reader])
        player = Player(node, topics)
        player.play(timeline([reader], Playback(rate=100), list(topics)), 100, NoClock())
        with hearing(LABELS, qos.latched()) as labels, hearing('/held', qos.latched()) as held:
            wait_until(lambda: labels and held[-1:] == ['last'])
    assert labels == ['names']


@pytest.mark.parametrize(
    ('topic', 'type_name', 'said'),
    [
        ('/a topic', STRING, "'/a topic' is no name of a topic: .*must not contain characters other than"),
        ('relative', STRING, "'relative' is no name of a topic: .*absolute"),
        ('', STRING, "'' is no name of a topic: .*empty"),
        ('/text', 'String', "'String' is no name of a message type, which would be package/msg/Name"),
        ('/text', '.std_msgs/msg/String', 'is no name of a message type'),
        ('/text', 'strange_msgs/msg/Thing', 'strange_msgs/msg/Thing is not installed'),
    ],
)
def test_what_cannot_be_recorded_is_said_at_the_start(tmp_path: Path, topic: str, type_name: str, said: str) -> None:
    with pytest.raises(GdfusionError, match=said) as error, record(tmp_path / 'bag', {topic: type_name}):
        pass
    assert '\n' not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_topic_that_nobody_publishes_is_named(tmp_path: Path) -> None:
    wanted = {'/nobody': STRING, '/reliable': 'std_msgs/msg/Bool'}
    with (
        pytest.raises(
            GdfusionError,
            match=r'^nobody publishes /nobody \(std_msgs/msg/String\), '
            r'/reliable \(std_msgs/msg/Bool\) after 5 s: is the node active',
        ),
        talking(),
        record(tmp_path / 'bag', wanted) as recorder,
    ):
        recorder.wait_for_publishers(5)
    assert list(tmp_path.iterdir()) == []


def test_a_bag_that_cannot_be_written_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    def full(*_: object) -> None:
        raise GdfusionError('no space left')

    monkeypatch.setattr(BagWriter, 'write_serialized', full)
    with pytest.raises(GdfusionError, match='no space left'), talking(), record(tmp_path / 'bag', TOPICS) as recorder:
        recorder.wait_for(LABELS, 1, patience)
    assert list(tmp_path.iterdir()) == []


def test_a_topic_without_messages_stands_in_the_bag(tmp_path: Path) -> None:
    with record(tmp_path / 'bag', {'/nobody': STRING}):
        pass
    with bag_reader(tmp_path / 'bag') as reader:
        assert [(topic.name, topic.type_name, topic.count) for topic in reader.topics.values()] == [
            ('/nobody', STRING, 0)
        ]
