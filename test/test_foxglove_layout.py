"""config/foxglove_layout.json: it shows what the node and the converter give out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gdfusion_ros.datasets.convert import ANNOTATIONS_TOPIC
from gdfusion_ros.messages.outputs import GROUND_TRUTH_MARKERS, NODE_NAME, outputs
from gdfusion_ros.resources import resource
from gdfusion_ros.settings import SURROUND_CAMERAS, BevSettings, PipelineSettings, TopicSettings
from gdfusion_ros.viewers.foxglove import TRUTH_TOPIC

TOPICS = TopicSettings()


@pytest.fixture(scope='module')
def layout() -> dict[str, Any]:
    return dict(json.loads(resource('config/foxglove_layout.json').read_text()))


def panels(node: Any) -> Iterator[str]:
    """Every panel of a part of the layout, which is a panel or is split in two."""
    if isinstance(node, str):
        yield node
        return
    assert node.keys() == {'direction', 'splitPercentage', 'first', 'second'}
    assert node['direction'] in ('row', 'column')
    assert 0 < node['splitPercentage'] < 100
    yield from panels(node['first'])
    yield from panels(node['second'])


def test_it_has_the_form_that_foxglove_imports(layout: dict[str, Any]) -> None:
    assert layout.keys() == {'configById', 'globalVariables', 'userNodes', 'playbackConfig', 'layout'}
    shown = list(panels(layout['layout']))
    assert sorted(shown) == sorted(layout['configById'])
    assert {panel.split('!')[0] for panel in shown} == {'3D', 'Image', 'DiagnosticSummary'}


def test_the_3d_panel_follows_the_vehicle_and_shows_topics_that_are_there(layout: dict[str, Any]) -> None:
    panel = layout['configById']['3D!occupancy']
    given = {f'/{NODE_NAME}/{output.topic}' for output in outputs(BevSettings())}
    given |= {ANNOTATIONS_TOPIC, GROUND_TRUTH_MARKERS, TRUTH_TOPIC}
    assert panel['topics'].keys() <= given
    assert [topic for topic, style in panel['topics'].items() if style['visible']] == ['/occ/markers', '/occ/voxels']
    assert panel['followTf'] == PipelineSettings().base_frame


def test_every_camera_has_its_image_and_calibration(layout: dict[str, Any]) -> None:
    images = [panel['imageMode'] for name, panel in layout['configById'].items() if name.startswith('Image!')]
    assert images == [
        {'imageTopic': TOPICS.image(camera), 'calibrationTopic': TOPICS.camera_info(camera)}
        for camera in SURROUND_CAMERAS
    ]


def test_the_diagnostics_are_those_of_the_node(layout: dict[str, Any]) -> None:
    assert layout['configById']['DiagnosticSummary!node']['topicToRender'] == '/diagnostics'
