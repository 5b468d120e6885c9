"""The files of config/: they say what the code says."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from gdfusion_ros import parameter_file
from gdfusion_ros.messages.bev import OCCUPIED, UNKNOWN, require_classes
from gdfusion_ros.messages.outputs import NODE_NAME, outputs
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.resources import resource
from gdfusion_ros.settings import SURROUND_CAMERAS, BevSettings, PipelineSettings, Record, Value, merged, records

PREAMBLE = """\
# Parameters of the node occ: all of them, with their defaults. For ros2 launch (params_file:=...), ros2 run and
# gdfusion node (--params-file ...), and gdfusion replay. What a file leaves out keeps its default.
/**:
  ros__parameters:
"""


def described(name: str, default: Value, record: Record) -> str:
    """One parameter in YAML: its description and range as a comment, and its default; ROS takes no list for empty."""
    bounds = '' if record.low is None or record.high is None else f' From {record.low:.10g} to {record.high:.10g}.'
    return f'    # {record.description}{bounds}\n    {name}: {json.dumps([""] if default == () else default)}\n'


def test_parameter_file_has_every_parameter_with_its_default_and_description() -> None:
    pytest.importorskip('rclpy', reason='the records of the node need rclpy')
    from gdfusion_ros.ros.parameters import PARTS

    parts = ['\n'.join(described(name, *record) for name, record in records(part).items()) for part in PARTS.values()]
    assert resource('config/occ.yaml').read_text() == PREAMBLE + '\n'.join(parts)


def test_parameter_file_has_the_form_that_ros_and_replay_read() -> None:
    parameters = yaml.safe_load(resource('config/occ.yaml').read_text())['/**']['ros__parameters']
    assert parameters['cameras'] == list(SURROUND_CAMERAS)
    assert parameters['untrained'] is False


def test_nav2_and_the_node_agree(capsys: pytest.CaptureFixture[str]) -> None:
    path = resource('config/nav2_costmap.yaml')
    values = parameter_file.read(path)
    bev, pipeline = merged(BevSettings, values), merged(PipelineSettings, values)
    assert values.keys() <= {*records(BevSettings), *records(PipelineSettings)}
    require_classes(bev, OCC3D_NUSCENES)
    assert capsys.readouterr().err == '', 'what is of Nav2 is not taken for the node'
    costmap = yaml.safe_load(path.read_text())['local_costmap']['local_costmap']['ros__parameters']
    assert (bev.bev_frame, costmap['global_frame']) == ('fixed', pipeline.fixed_frame)
    assert costmap['robot_base_frame'] == pipeline.base_frame
    assert (costmap['track_unknown_space'], costmap['rolling_window']) == (True, True)
    assert costmap['trinary_costmap'] is False
    assert (costmap['unknown_cost_value'], costmap['lethal_cost_threshold']) == (UNKNOWN % 256, OCCUPIED)
    topics = {f'/{NODE_NAME}/{output.topic}': output.type_name for output in outputs(bev)}
    assert topics[costmap['occupancy_layer']['map_topic']] == 'nav_msgs/msg/OccupancyGrid'
    source = costmap['obstacle_layer']['occ']
    assert topics[source['topic']].rpartition('/')[2] == source['data_type']
    assert (source['min_obstacle_height'], source['max_obstacle_height']) == (bev.bev_min_height, bev.bev_max_height)
    assert {costmap[name]['plugin'] for name in costmap['plugins']} == {
        f'nav2_costmap_2d::{name}Layer' for name in ('Static', 'Obstacle', 'Inflation')
    }


@pytest.fixture(scope='module')
def rviz() -> dict[str, Any]:
    return dict(yaml.safe_load(resource('config/occ.rviz').read_text()))


PLUGINS = 'rviz_default_plugins'
RELIABLE = {'Depth': 1, 'History Policy': 'Keep Last', 'Reliability Policy': 'Reliable'}
LATCHED = {**RELIABLE, 'Durability Policy': 'Transient Local'}
CAMERA = {
    'Depth': 5,
    'History Policy': 'Keep Last',
    'Reliability Policy': 'Best Effort',
    'Durability Policy': 'Volatile',
}

DISPLAYS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    'Grid': ('Grid', True, {'Reference Frame': 'base_link', 'Plane Cell Count': 8, 'Cell Size': 10, 'Plane': 'XY'}),
    'TF': (
        'TF',
        True,
        {'Marker Scale': 10, 'Frame Timeout': 86400, 'Show Axes': True, 'Show Names': False, 'Show Arrows': False},
    ),
    'Occupancy': ('MarkerArray', True, {'Namespaces': {}, 'Topic': {**LATCHED, 'Value': '/occ/markers'}}),
    'Points': (
        'PointCloud2',
        False,
        {
            'Topic': {**LATCHED, 'Value': '/occ/points'},
            'Style': 'Boxes',
            'Size (m)': 0.4,
            'Color Transformer': 'RGB8',
            'Decay Time': 0,
            'Use Fixed Frame': True,
        },
    ),
    'Ground truth': (
        'MarkerArray',
        False,
        {'Namespaces': {}, 'Topic': {**RELIABLE, 'Durability Policy': 'Volatile', 'Value': '/ground_truth/markers'}},
    ),
    "Bird's-eye view": (
        'Map',
        False,
        {
            'Topic': {**LATCHED, 'Value': '/occ/bev'},
            'Color Scheme': 'map',
            'Alpha': 0.7,
            'Draw Behind': True,
            'Use Timestamp': True,
        },
    ),
    **{
        camera: ('Image', True, {'Topic': {**CAMERA, 'Value': f'/{camera}/image/compressed'}, 'Normalize Range': True})
        for camera in SURROUND_CAMERAS
    },
}
"""Name -> (class, whether it is on at the start, what else was looked at in RViz)."""


def test_rviz_shows_the_outputs_and_the_cameras(rviz: dict[str, Any]) -> None:
    manager = rviz['Visualization Manager']
    assert manager['Global Options']['Fixed Frame'] == 'map'
    assert [display['Name'] for display in manager['Displays']] == list(DISPLAYS)
    for display in manager['Displays']:
        kind, enabled, properties = DISPLAYS[display['Name']]
        assert (display['Class'], display['Enabled'], display['Value']) == (f'{PLUGINS}/{kind}', enabled, enabled)
        assert {name: display[name] for name in properties} == properties, display['Name']


def test_rviz_gives_every_panel_and_image_its_dock(rviz: dict[str, Any]) -> None:
    """Qt's saveState: names in UTF-16. Without it nine docks pile up, and the view gets a third of the window.

    The window fits a screen of 1920 x 1080 with its bars.
    """
    geometry = rviz['Window Geometry']
    state = bytes.fromhex(geometry['QMainWindow State'])
    assert state[:4] == bytes.fromhex('000000ff')
    panels = [panel['Name'] for panel in rviz['Panels']]
    assert panels == ['Displays', 'Views', 'Time']
    for name in [*panels, *SURROUND_CAMERAS]:
        utf16 = name.encode('utf-16-be')
        assert len(utf16).to_bytes(4, 'big') + utf16 in state, name
    assert (geometry['Width'], geometry['Height']) == (1600, 900)
    assert (geometry['Hide Left Dock'], geometry['Hide Right Dock']) == (False, False)


def test_rviz_looks_at_the_whole_grid(rviz: dict[str, Any]) -> None:
    views = rviz['Visualization Manager']['Views']
    shown = [views['Current'], *views['Saved']]
    assert [view['Name'] for view in shown] == ['From behind and above', 'From behind and above', 'From above']
    assert {view['Class'] for view in shown} == {f'{PLUGINS}/ThirdPersonFollower'}
    assert {view['Target Frame'] for view in shown} == {'base_link'}
    assert [(view['Distance'], view['Focal Point']['X'], view['Pitch']) for view in shown] == [
        (66, -14, 0.75),
        (66, -14, 0.75),
        (105, -21, 1.569),
    ]


@pytest.mark.parametrize('name', ['fastdds_profile.xml', 'fastdds3_profile.xml'])
def test_dds_profile_holds_many_raw_images_of_six_cameras(name: str) -> None:
    namespace = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    root = ET.parse(resource(f'config/{name}')).getroot()
    sizes = [int(element.text or 0) for element in root.iter(f'{namespace}segment_size')]
    transports = {element.text for element in root.iter(f'{namespace}transport_id')}
    assert sizes == [128 * 1024**2]
    assert sizes[0] > 4 * 6 * 1600 * 900 * 3
    assert transports == {'large_shared_memory', 'udp'}
