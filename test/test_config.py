"""The files of config/: they say what the code says."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
import yaml

from gdfusion_ros.resources import resource
from gdfusion_ros.settings import SURROUND_CAMERAS, Record, Value

PREAMBLE = """\
# Parameters of the node occ: all of them, with their defaults. For ros2 launch (params_file:=...), ros2 run and
# gdfusion node (--params-file ...), and gdfusion replay. What a file leaves out keeps its default.
/**:
  ros__parameters:
"""


def described(name: str, default: Value, record: Record) -> str:
    """One parameter in YAML: its description and range as a comment, and its default."""
    bounds = '' if record.low is None or record.high is None else f' From {record.low:.10g} to {record.high:.10g}.'
    return f'    # {record.description}{bounds}\n    {name}: {json.dumps(default)}\n'


def test_parameter_file_has_every_parameter_with_its_default_and_description() -> None:
    pytest.importorskip('rclpy', reason='the records of the node need rclpy')
    from gdfusion_ros.ros.parameters import PARTS
    from gdfusion_ros.settings import records

    parts = ['\n'.join(described(name, *record) for name, record in records(part).items()) for part in PARTS.values()]
    assert resource('config/occ.yaml').read_text() == PREAMBLE + '\n'.join(parts)


def test_parameter_file_has_the_form_that_ros_and_replay_read() -> None:
    parameters = yaml.safe_load(resource('config/occ.yaml').read_text())['/**']['ros__parameters']
    assert parameters['cameras'] == list(SURROUND_CAMERAS)
    assert parameters['untrained'] is False


def test_rviz_shows_the_outputs_and_the_cameras() -> None:
    manager = yaml.safe_load(resource('config/occ.rviz').read_text())['Visualization Manager']
    displays = {display['Name']: display for display in manager['Displays']}
    topics = {name: display['Topic']['Value'] for name, display in displays.items() if 'Topic' in display}
    assert manager['Global Options']['Fixed Frame'] == 'map'
    assert topics == {
        'Occupancy': '/occ/points', 'Markers': '/occ/markers', 'Ground truth': '/ground_truth/markers',
        "Bird's-eye view": '/occ/bev',
        **{camera: f'/{camera}/image/compressed' for camera in SURROUND_CAMERAS}}
    assert displays['Occupancy']['Style'] == 'Boxes'
    assert displays['Occupancy']['Size (m)'] == 0.4


@pytest.mark.parametrize('name', ['fastdds_profile.xml', 'fastdds3_profile.xml'])
def test_dds_profile_holds_many_raw_images_of_six_cameras(name: str) -> None:
    namespace = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    root = ET.parse(resource(f'config/{name}')).getroot()
    sizes = [int(element.text or 0) for element in root.iter(f'{namespace}segment_size')]
    transports = {element.text for element in root.iter(f'{namespace}transport_id')}
    assert sizes == [128 * 1024**2]
    assert sizes[0] > 4 * 6 * 1600 * 900 * 3
    assert transports == {'large_shared_memory', 'udp'}
