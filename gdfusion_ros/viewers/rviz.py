"""RViz's display file, for the rig of the node that is launched with it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gdfusion_ros.settings import PipelineSettings, TopicSettings


def displays_of_rig(text: str, rig: PipelineSettings, topics: TopicSettings) -> str:
    """``config/occ.rviz`` with the frames of a rig, and panels of its cameras in their order.

    Args:
        text: of that file.
        rig: whose frames and cameras are shown. A camera beyond the panels of the file gets none; panels that no camera
            is left for go.
        topics: of the cameras.
    """
    document: dict[str, Any] = yaml.safe_load(text)
    manager, window = document['Visualization Manager'], document['Window Geometry']
    manager['Global Options']['Fixed Frame'] = rig.fixed_frame
    for view in (manager['Views']['Current'], *manager['Views']['Saved']):
        view['Target Frame'] = rig.base_frame
    panels = [display for display in manager['Displays'] if display['Class'] == 'rviz_default_plugins/Image']
    manager['Displays'] = [display for display in manager['Displays'] if display not in panels[len(rig.cameras) :]]
    docks = {}
    for panel, camera in zip(panels, rig.cameras, strict=False):
        docks[_dock(panel['Name'])] = _dock(camera)
        panel['Name'], panel['Topic']['Value'] = camera, topics.image(camera)
    # All at once, since a rig may have the names of the file in another order.
    layout = bytes.fromhex(window['QMainWindow State'])
    window['QMainWindow State'] = re.sub(b'|'.join(map(re.escape, docks)), lambda found: docks[found[0]], layout).hex()
    for display in manager['Displays']:
        if 'Reference Frame' in display:
            display['Reference Frame'] = rig.base_frame
    return yaml.safe_dump(document, sort_keys=False)


def _dock(name: str) -> bytes:
    """The name of a dock as Qt's saveState writes it: length in bytes, UTF-16."""
    utf16 = name.encode('utf-16-be')
    return len(utf16).to_bytes(4, 'big') + utf16
