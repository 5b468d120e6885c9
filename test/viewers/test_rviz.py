"""What RViz is shown of a rig that is not the one of the package's display file."""

from __future__ import annotations

from typing import Any

import yaml

from gdfusion_ros.resources import resource
from gdfusion_ros.settings import PipelineSettings, TopicSettings
from gdfusion_ros.viewers.rviz import displays_of_rig

FILE = resource('config/occ.rviz').read_text()


def opened(rig: PipelineSettings, topics: TopicSettings | None = None) -> dict[str, Any]:
    return dict(yaml.safe_load(displays_of_rig(FILE, rig, topics or TopicSettings())))


def images(document: dict[str, Any]) -> dict[str, str]:
    """Names and topics of the panels."""
    displays = document['Visualization Manager']['Displays']
    return {each['Name']: each['Topic']['Value'] for each in displays if each['Class'].endswith('/Image')}


def docks(document: dict[str, Any], names: list[str]) -> list[str]:
    """Those that have a place, from left to right."""
    state = bytes.fromhex(document['Window Geometry']['QMainWindow State'])
    utf16 = {name: name.encode('utf-16-be') for name in names}
    places = {name: state.find(len(text).to_bytes(4, 'big') + text) for name, text in utf16.items()}
    return sorted((name for name in names if places[name] >= 0), key=places.__getitem__)


def test_the_default_rig_is_that_of_the_file() -> None:
    assert opened(PipelineSettings()) == yaml.safe_load(FILE)


def test_frames_are_those_of_the_rig() -> None:
    manager = opened(PipelineSettings(fixed_frame='odom', base_frame='car'))['Visualization Manager']
    assert manager['Global Options']['Fixed Frame'] == 'odom'
    views = [manager['Views']['Current'], *manager['Views']['Saved']]
    assert {view['Target Frame'] for view in views} == {'car'}
    assert [each['Reference Frame'] for each in manager['Displays'] if each['Name'] == 'Grid'] == ['car']


def test_every_camera_has_the_panel_and_the_dock_of_its_place() -> None:
    names = ('left', 'CAM_FRONT', 'right', 'CAM_BACK_RIGHT', 'back', 'CAM_BACK_LEFT')
    document = opened(
        PipelineSettings(cameras=names, reference_camera='CAM_FRONT'), TopicSettings(image_topic='/{camera}/pictures')
    )
    assert images(document) == {name: f'/{name}/pictures/compressed' for name in names}
    assert docks(document, [*names, 'CAM_FRONT_LEFT']) == list(names)


def test_fewer_cameras_leave_no_panel_empty() -> None:
    names = ('a', 'b', 'c', 'CAM_FRONT_LEFT')
    document = opened(PipelineSettings(cameras=names, reference_camera='b'))
    assert list(images(document)) == list(names)
    assert docks(document, list(names)) == list(names)


def test_more_cameras_than_panels_show_the_first_ones() -> None:
    names = tuple('abcdefg')
    assert list(images(opened(PipelineSettings(cameras=names, reference_camera='b')))) == list(names[:6])


def test_raw_images_are_shown_raw() -> None:
    topics = TopicSettings(image_transport='raw')
    assert images(opened(PipelineSettings(), topics))['CAM_BACK'] == '/CAM_BACK/image'
