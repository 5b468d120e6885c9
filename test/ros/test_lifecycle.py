"""One node process through its lifecycle: other parameters, other inputs, what it publishes for whom."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from PIL import Image
from rcl_interfaces.msg import Log

from gdfusion_ros.bags.messages import RosbagsFactory, typestore
from gdfusion_ros.bags.reader import RawMessage, bag_reader
from gdfusion_ros.messages.factory import stamp_of
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
from gdfusion_ros.ros.player import Playback, play
from gdfusion_ros.ros.transforms import tf2_is_wanted

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
BACK = 'CAM_BACK'


def image_topic(camera: str) -> str:
    return f'/{camera}/image/compressed'


def without_later_images(camera: str) -> Callable[[RawMessage], RawMessage | None]:
    """Leaves a camera its first image only."""
    seen: list[RawMessage] = []

    def change(message: RawMessage) -> RawMessage | None:
        if message.topic == image_topic(camera):
            seen.append(message)
            return message if len(seen) == 1 else None
        return message

    return change


def as_raw_images(message: RawMessage) -> RawMessage:
    """The decoded pixels, in the channel order of most camera drivers."""
    if message.type_name != COMPRESSED:
        return message
    store, make = typestore(), RosbagsFactory()
    image: Any = store.deserialize_cdr(message.data, COMPRESSED)
    pixels = np.asarray(Image.open(io.BytesIO(image.data)).convert('RGB'))[..., ::-1]
    height, width, _ = pixels.shape
    raw = make(
        'sensor_msgs/msg/Image',
        header=image.header,
        height=height,
        width=width,
        encoding='bgr8',
        step=3 * width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )
    return RawMessage(
        message.topic.removesuffix('/compressed'),
        'sensor_msgs/msg/Image',
        message.stamp,
        bytes(store.serialize_cdr(raw, 'sensor_msgs/msg/Image')),
    )


def test_without_a_camera_hold_takes_its_last_image(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    live.configure(missing_camera='hold', max_hold=2.0, silence_timeout=2.0)
    grids = live.play(edited(drive, without_later_images(BACK)), 3)
    assert grids.stamps == expected.stamps
    assert [len(grid.cameras) for grid in grids.decoded] == [6, 6, 6]
    assert live.diagnosis(BACK, lambda status: status.level == DiagnosticStatus.WARN)


def test_without_a_camera_mask_makes_grids_of_the_others(live: Any, drive: Path, expected: Any) -> None:
    live.configure(missing_camera='mask', silence_timeout=5.0)  # images come 0.5 s apart
    with bag_reader(drive) as reader:
        others = tuple(topic for topic in reader.topics if topic != image_topic(BACK))
    grids = live.play(drive, 3, topics=others)
    assert grids.stamps == expected.stamps
    assert all(
        set(grid.cameras) == {'CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT'}
        for grid in grids.decoded
    )


def test_raw_images_give_the_grids_of_compressed_ones(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any
) -> None:
    live.configure(image_transport='raw')
    assert live.play(edited(drive, as_raw_images), 3).differences(expected) == []


@pytest.mark.parametrize(
    'source',
    ['own', pytest.param('tf2', marks=pytest.mark.skipif(not tf2_is_wanted('auto'), reason='tf2 is not installed'))],
)
def test_both_sources_of_transforms_give_the_grids_of_the_replay(
    live: Any, drive: Path, expected: Any, source: str
) -> None:
    live.configure(tf_source=source)
    assert live.play(drive, 6, loops=2).differences(expected.repeated(2)) == []


def test_the_time_of_a_bag_is_the_nodes_where_it_is_asked_for(live: Any, drive: Path, expected: Any) -> None:
    live.configure()
    assert all(result.successful for result in live.set_parameters(use_sim_time=True))
    assert live.play(drive, 6, loops=2, clock=100).differences(expected.repeated(2)) == []
    assert live.diagnostics[-1].header.stamp.sec == pytest.approx(expected.stamps[-1] / 1e9, abs=3)
    assert all(result.successful for result in live.set_parameters(use_sim_time=False))


VIEWER = """
from gdfusion_ros.ros import environment, qos
from gdfusion_ros.ros.context import ros_node, spinning
from gdfusion_ros.ros.factory import message_class
with ros_node('viewer') as node, spinning(node):
    node.create_subscription(message_class('gdfusion_ros/msg/SemanticOccupancyGrid'), '/occ/occupancy',
                             lambda grid: print('grid', flush=True), qos.recording())
    input()
"""


def test_a_subscriber_that_hangs_is_named_and_not_waited_for_again(live: Any, drive: Path, patience: float) -> None:
    live.configure()
    begin, lines = int(live.values('sets')['grids']), []
    with (
        subprocess.Popen(
            [sys.executable, '-c', VIEWER],
            env=environment.for_child(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as viewer,
        ros_node('listener') as node,
    ):
        node.create_subscription(Log, '/rosout', lambda log: lines.append(log.msg), qos.recording())
        with spinning(node):
            live.wait(lambda: live._node.count_subscribers('/occ/occupancy'))
            play([drive], Playback(wait=patience))
            assert viewer.stdout is not None
            assert viewer.stdout.readline() == 'grid\n'
            viewer.send_signal(signal.SIGSTOP)
            play([drive], Playback(wait=patience, loops=2))
            live.wait(lambda: [line for line in lines if 'has not acknowledged a grid for 15 s' in line])
            live.wait(lambda: int(live.values('sets')['grids']) == begin + 9)
        viewer.kill()


def test_the_memory_goes_on_while_nobody_listens(
    live: Any, drive: Path, edited: Callable[..., Path], expected: Any, patience: float
) -> None:
    live.configure()
    with bag_reader(drive) as reader:
        half = reader.start + 700_000_000
    live.reset()
    begin = int(live.values('sets')['grids'])
    play([edited(drive, lambda message: message if message.stamp < half else None)], Playback(wait=patience))
    live.wait(lambda: int(live.values('sets')['grids']) == begin + 2)
    rest = live.play(drive, 1, start=0.7)
    assert rest.messages['/occ/occupancy'] == expected.messages['/occ/occupancy'][2:]


def test_every_output_comes_to_those_who_subscribe(live: Any, drive: Path, expected: Any) -> None:
    live.configure()
    types = {
        'occupancy': 'gdfusion_ros/msg/SemanticOccupancyGrid',
        'points': 'sensor_msgs/msg/PointCloud2',
        'markers': 'visualization_msgs/msg/MarkerArray',
        'bev': 'nav_msgs/msg/OccupancyGrid',
        'observed': 'gdfusion_ros/msg/SemanticOccupancyGrid',
        'obstacles': 'sensor_msgs/msg/PointCloud2',
        'debug/latency': 'diagnostic_msgs/msg/DiagnosticArray',
    }
    heard: dict[str, list[Any]] = {name: [] for name in types}
    with ros_node('listener') as node:
        for name, type_name in types.items():
            node.create_subscription(message_class(type_name), f'/occ/{name}', heard[name].append, qos.recording())
        seen: list[Any] = []  # the latched message says that the node sees the subscriptions made before
        node.create_subscription(message_class('std_msgs/msg/String'), '/occ/label_info', seen.append, qos.latched())
        with spinning(node):
            live.wait(lambda: seen)
            live.play(drive, 3)
            live.wait(lambda: all(len(messages) == 3 for messages in heard.values()))
            live.reset()
            live.wait(lambda: len(heard['markers']) == 4)
    assert {name: len(messages) for name, messages in heard.items()} == {
        'occupancy': 3,
        'points': 3,
        'markers': 4,
        'bev': 3,
        'observed': 3,
        'obstacles': 3,
        'debug/latency': 3,
    }
    assert 255 not in heard['occupancy'][-1].labels
    assert 255 in heard['observed'][-1].labels
    assert [(message.info.width, message.info.height) for message in heard['bev']] == 3 * [(200, 200)]
    [deletion] = heard['markers'][-1].markers
    assert deletion.action == deletion.DELETEALL
    stages = {pair.key: float(pair.value) for pair in heard['debug/latency'][-1].status[0].values}
    assert stages['network'] > 0
    assert all(milliseconds >= 0 for milliseconds in stages.values())


def test_a_map_that_stays_is_sent_in_parts(live: Any, drive: Path, strung: Callable[..., Path]) -> None:
    update: Any = pytest.importorskip('map_msgs.msg', reason='map_msgs is not installed').OccupancyGridUpdate

    def stand(topic: str, message: Any) -> None:
        for part in message.transforms if topic == '/tf' else []:
            part.transform.translation = RosbagsFactory()('geometry_msgs/msg/Vector3', x=1.0, y=2.0, z=0.0)

    standing = strung(drive, 1, stand)

    def heard(*, parts: bool) -> tuple[list[Any], list[Any]]:
        """Whole maps and updates."""
        live.configure(bev_frame='fixed', bev_updates=parts, output_durability='transient_local')
        maps: list[Any] = []
        updates: list[Any] = []
        infos: list[Any] = []  # the latched message says that the node sees the subscriptions made before
        with ros_node('listener') as node:
            node.create_subscription(
                message_class('nav_msgs/msg/OccupancyGrid'), '/occ/bev', maps.append, qos.latched()
            )
            node.create_subscription(update, '/occ/bev_updates', updates.append, qos.latched())
            node.create_subscription(
                message_class('std_msgs/msg/String'), '/occ/label_info', infos.append, qos.latched()
            )
            with spinning(node):
                live.wait(lambda: infos)
                last = live.play(standing, 3).stamps[-1]
                live.wait(lambda: last in {stamp_of(message.header.stamp) for message in (*maps, *updates)})
        return maps, updates

    whole, none = heard(parts=False)
    assert (len(whole), none) == (3, [])
    maps, updates = heard(parts=True)
    assert 1 <= len(maps) < 3, 'the untrained network changes much'
    base, part = maps[0], updates[0]
    second = np.reshape(base.data, (base.info.height, base.info.width))
    second[part.y : part.y + part.height, part.x : part.x + part.width] = np.reshape(part.data, (part.height, -1))
    assert np.array_equal(second.ravel(), whole[1].data)


def test_who_comes_late_gets_the_labels_and_the_last_grid(live: Any, drive: Path) -> None:
    live.configure(output_durability='transient_local')
    last = live.play(drive, 3).decoded[-1]
    heard: dict[str, list[Any]] = {'label_info': [], 'occupancy': [], 'bev': []}
    with ros_node('late') as node:
        for name, type_name in {
            'label_info': 'std_msgs/msg/String',
            'occupancy': 'gdfusion_ros/msg/SemanticOccupancyGrid',
            'bev': 'nav_msgs/msg/OccupancyGrid',
        }.items():
            node.create_subscription(message_class(type_name), f'/occ/{name}', heard[name].append, qos.latched())
        with spinning(node):
            live.wait(lambda: all(heard.values()))
    assert json.loads(heard['label_info'][0].data)['free'] == 17
    assert heard['occupancy'][0].header.stamp.nanosec == last.header.stamp.nanosec
    assert heard['occupancy'][0].model == 'gdfusion_nano (untrained)'
    assert stamp_of(heard['bev'][0].header.stamp) == stamp_of(last.header.stamp), 'nobody had subscribed'


def test_diagnostics_say_that_the_network_is_untrained(live: Any) -> None:
    status = live.diagnosis('network')
    assert status.level == DiagnosticStatus.WARN
    assert 'untrained' in status.message


def test_diagnostics_say_how_many_sets_wait_for_the_network(
    live: Any, drive: Path, strung: Callable[..., Path]
) -> None:
    live.configure()
    begin = len(live.diagnostics)
    live.play(strung(drive, 4), 12, rate=50)
    queued = [
        int(pair.value)
        for array in live.diagnostics[begin:]
        for status in array.status
        for pair in status.values
        if status.name == 'occ: sets' and pair.key == 'queued'
    ]
    assert 1 <= max(queued) < 12
    assert live.values('sets')['queued'] == '0'


def test_parameters_are_fixed_while_configured_and_checked_before(live: Any) -> None:
    [refused] = live.set_parameters(max_hold=3.0)
    assert not refused.successful
    assert 'deactivate and clean up the node first' in refused.reason
    assert live.transition(Transition.TRANSITION_DEACTIVATE)
    assert live.transition(Transition.TRANSITION_CLEANUP)
    [wrong] = live.set_parameters(missing_camera='wait')
    assert not wrong.successful
    assert live.transition(Transition.TRANSITION_CONFIGURE)
    assert live.transition(Transition.TRANSITION_ACTIVATE)


def test_a_configuration_that_cannot_be_fails_and_can_be_mended(live: Any, drive: Path, expected: Any) -> None:
    live.configure()
    assert live.transition(Transition.TRANSITION_DEACTIVATE)
    assert live.transition(Transition.TRANSITION_CLEANUP)
    assert all(result.successful for result in live.set_parameters(bev_free=['street']))
    assert not live.transition(Transition.TRANSITION_CONFIGURE)
    assert all(result.successful for result in live.set_parameters(bev_free=['sidewalk']))
    assert live.transition(Transition.TRANSITION_CONFIGURE)
    assert live.transition(Transition.TRANSITION_ACTIVATE)
    assert live.play(drive, 3).differences(expected) == []


def test_reset_is_refused_while_the_node_is_not_active(live: Any) -> None:
    assert live.transition(Transition.TRANSITION_DEACTIVATE)
    answer = live.reset()
    assert not answer.success
    assert answer.message == 'the node is not active'
    assert live.transition(Transition.TRANSITION_ACTIVATE)


def test_a_transition_that_is_not_due_is_refused_and_the_node_lives(live: Any, drive: Path, expected: Any) -> None:
    live.configure()
    for identifier in (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CREATE,
        99,
    ):
        assert not live.transition(identifier)
    assert live.play(drive, 3).differences(expected) == []


def test_a_topic_that_is_no_name_fails_the_configuration(live: Any) -> None:
    live.assert_not_configurable_with(image_topic='/{camera}/my image')
