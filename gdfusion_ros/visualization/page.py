"""Frames as one HTML page that needs nothing else: no network, no server, only a browser with WebGL 2.

The page is viewer/page.html with everything filled in: style, scripts (three.js and those of viewer/ as ``data:`` URLs
of an import map), and one JSON script a frame. A grid travels as base64 of gzip of its labels in the order of the wire.
A live page is the same with one frame; its server gives it more as they come (see viewers/page.py).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from io import BytesIO
from itertools import chain
from pathlib import Path

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing, written_whole
from gdfusion_ros.messages.wire import to_wire
from gdfusion_ros.names import printable
from gdfusion_ros.perception.labels import UNKNOWN
from gdfusion_ros.perception.types import NANOSECONDS, Pixels, SemanticGrid, stamp_text
from gdfusion_ros.visualization.canvas import fitted, palette
from gdfusion_ros.visualization.snapshot import Parts, Snapshot
from gdfusion_ros.visualization.voxels import VEHICLE

MODULES = {
    'three': 'three/three.module.min.js',
    'three/addons/controls/OrbitControls.js': 'three/OrbitControls.js',
    **{f'viewer/{name}': name for name in ('live.js', 'main.js', 'payload.js', 'scene.js', 'stage.js', 'voxels.js')},
}
"""Import name of every script of the page -> its file below viewer/."""

_VIEWER = files('gdfusion_ros.visualization') / 'viewer'
_IMAGE_SIZE, _JPEG_QUALITY = (400, 225), 75
_SMALLEST, _FASTEST = 9, 1
"""Levels of gzip: for files, and for frames that are sent once."""


def write(path: Path, frames: Iterable[Snapshot], parts: Parts) -> None:
    """Write a page of ``frames`` with a place for ``parts``.

    Raises:
        GdfusionError: there are no frames, a file of that name exists, or it cannot be written.
    """
    refuse_existing(path)
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise GdfusionError(f'{path}: no frames to show')
    head, tail = _template(first, parts)
    with written_whole(path, new=True) as draft, draft.open('w', encoding='utf-8') as file:
        file.write(head)
        for frame in chain([first], remaining):
            file.write(_script(_content(frame, first.grid.stamp, _SMALLEST)))
        file.write(tail)


def live_frame(frame: Snapshot, start: int) -> str:
    """The JSON of a frame as a live page takes it; its time counts from the stamp ``start`` [ns]."""
    return _content(frame, start, _FASTEST)


def live_page(first: Snapshot, content: str, drive: int) -> str:
    """The live page of a drive, with the frame whose JSON is ``content``.

    ``first`` says what classes and cameras there are. Later frames are at the WebSocket /``drive``, counted from 1.
    """
    head, tail = _template(first, Parts(truth=first.truth is not None, images=True), drive)
    return head + _script(content) + tail


def _template(frame: Snapshot, parts: Parts, drive: int = 0) -> tuple[str, str]:
    """The page before and behind its frames; that of a ``drive`` is live."""
    grid = frame.grid
    colors = palette(grid.label_set).astype(int)
    about = {
        'model': frame.model,
        'untrained': frame.untrained,
        'drive': drive,
        'truth': parts.truth,
        'cameras': [_name(camera) for camera in frame.cameras] if parts.images else (),
        'free': grid.label_set.free,
        'unknown': UNKNOWN,
        'vehicle': VEHICLE.tolist(),
        'classes': [
            {'id': label.id, 'name': label.name, 'color': '#{:02x}{:02x}{:02x}'.format(*colors[label.id])}
            for label in grid.label_set.occupied
        ],
    }
    modules = {'imports': {name: _data_url(file) for name, file in MODULES.items()}}
    contents = {
        'style': (_VIEWER / 'style.css').read_text('utf-8'),
        'about': _json(about),
        'modules': _json(modules),
        'connect': "'self'" if drive else "'none'",
    }
    # The places are found before anything is filled in: what is filled in may look like one.
    head, tail = (_VIEWER / 'page.html').read_text('utf-8').split('{{frames}}')
    return _filled(head, contents), _filled(tail, contents)


def _filled(template: str, contents: Mapping[str, str]) -> str:
    return re.sub(r'\{\{(\w+)\}\}', lambda place: contents[place[1]], template)


def _script(content: str) -> str:
    """The element that holds the JSON of a frame."""
    return f'<script type="application/json" class="frame">{content}</script>\n'


def _content(frame: Snapshot, start: int, level: int) -> str:
    """The JSON of ``frame``, its grids packed by gzip of ``level``; its time counts from the stamp ``start`` [ns]."""
    return _json(
        {
            'stamp': stamp_text(frame.grid.stamp) if frame.grid.stamp else '',
            'moment': frame.moment,
            'time': (frame.grid.stamp - start) / NANOSECONDS,
            'prediction': _packed(frame.grid, level),
            'truth': frame.truth and _packed(frame.truth, level),
            'images': {_name(camera): _jpeg(pixels) for camera, pixels in frame.images.items()},
        }
    )


def _packed(grid: SemanticGrid, level: int) -> dict[str, object]:
    labels = gzip.compress(to_wire(grid.labels).tobytes(), level, mtime=0)
    return {
        'shape': grid.labels.shape,
        'origin': grid.origin,
        'voxelSize': grid.voxel_size,
        'labels': base64.b64encode(labels).decode(),
    }


def _name(camera: str) -> str:
    return printable(camera, 80)


def _jpeg(pixels: Pixels) -> str:
    file = BytesIO()
    fitted(pixels, *_IMAGE_SIZE).save(file, 'JPEG', quality=_JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def _data_url(name: str) -> str:
    return f'data:text/javascript;base64,{base64.b64encode((_VIEWER / name).read_bytes()).decode()}'


def _json(content: object) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(content, separators=(',', ':')).replace('<', '\\u003c')
