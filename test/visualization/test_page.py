from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.resources import PACKAGE
from gdfusion_ros.visualization.page import MODULES, write
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

ALL = Parts(truth=True, images=True)
VIEWER = PACKAGE / 'visualization' / 'viewer'
IMAGE: Pixels = np.full((90, 160, 3), (200, 30, 40), np.uint8)


class Scripts(HTMLParser):
    """The scripts of a page: attributes and content."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.links: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == 'script'
        if self._inside:
            self.found.append((dict(attrs), ''))
        self.links += [value or '' for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            attributes, content = self.found[-1]
            self.found[-1] = attributes, content + data

    def json(self, **attributes: str) -> list[Any]:
        return [json.loads(content) for found, content in self.found if attributes.items() <= found.items()]


@pytest.fixture(scope='module')
def frames(street: SemanticGrid) -> list[Snapshot]:
    """The street, and half a second later without its lowest layer; the second without ground truth and images."""
    later = street.labels.copy(order='F')
    later[..., 0] = street.label_set.free
    model = 'tiny </script><b> (untrained)'
    return [
        Snapshot(dataclasses.replace(street, model=model), street, {'CAM_FRONT': IMAGE}),
        Snapshot(dataclasses.replace(street, model=model, labels=later, stamp=street.stamp + 500_000_000)),
    ]


@pytest.fixture(scope='module')
def page(frames: list[Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Scripts:
    path = tmp_path_factory.mktemp('page') / 'page.html'
    write(path, iter(frames), ALL)
    return Scripts(path.read_text('utf-8'))


def labels_of(grid: dict[str, Any]) -> Pixels:
    """The grid as the page's script reads it."""
    labels = np.frombuffer(gzip.decompress(base64.b64decode(grid['labels'])), np.uint8)
    return labels.reshape(grid['shape'][::-1]).T


def test_grids_come_back_as_they_were(page: Scripts, frames: list[Snapshot]) -> None:
    carried = page.json(**{'class': 'frame'})
    assert len(carried) == 2
    for frame, content in zip(frames, carried, strict=True):
        assert np.array_equal(labels_of(content['prediction']), frame.grid.labels)
        assert content['prediction']['origin'] == list(frame.grid.origin)
        assert content['prediction']['voxelSize'] == list(frame.grid.voxel_size)
    assert np.array_equal(labels_of(carried[0]['truth']), frames[0].grid.labels)
    assert carried[1]['truth'] is None
    assert [content['time'] for content in carried] == [0, 0.5]
    assert carried[0]['stamp'] == '1533151603.512404000'


def test_images_are_small_jpegs(page: Scripts) -> None:
    first, second = page.json(**{'class': 'frame'})
    image = Image.open(BytesIO(base64.b64decode(first['images']['CAM_FRONT'])))
    assert image.format == 'JPEG'
    assert np.abs(np.asarray(image).astype(int) - IMAGE[0, 0]).max() < 10
    assert second['images'] == {}


def test_classes_and_colours_are_those_of_the_label_set(page: Scripts, street: SemanticGrid) -> None:
    (about,) = page.json(id='about')
    assert [(label['id'], label['name']) for label in about['classes']] == [
        (label.id, label.name) for label in street.label_set.occupied
    ]
    assert all(re.fullmatch('#[0-9a-f]{6}', label['color']) for label in about['classes'])
    assert (about['free'], about['unknown']) == (17, 255)


def test_a_name_cannot_end_its_script(page: Scripts) -> None:
    (about,) = page.json(id='about')
    assert about['model'] == 'tiny </script><b>'
    assert about['untrained'] is True


def test_nothing_is_loaded_from_elsewhere(page: Scripts) -> None:
    assert page.links == []
    (modules,) = page.json(type='importmap')
    assert modules['imports'].keys() == MODULES.keys()
    for name, url in modules['imports'].items():
        kind, content = url.split(',', 1)
        assert kind == 'data:text/javascript;base64'
        assert base64.b64decode(content) == (VIEWER / MODULES[name]).read_bytes()


def test_every_script_of_the_viewer_is_in_the_page() -> None:
    assert sorted(MODULES.values()) == sorted(str(path.relative_to(VIEWER)) for path in VIEWER.rglob('*.js'))
    imported = {name for path in VIEWER.glob('*.js') for name in re.findall(r"from '([^']+)'", path.read_text('utf-8'))}
    assert imported <= MODULES.keys()


def test_three_js_is_what_its_readme_says() -> None:
    told = re.findall(r'\| `([^`]+)` \| `([0-9a-f]{64})` \|', (VIEWER / 'three' / 'README.md').read_text())
    assert {name for name, _ in told} == {'three.module.min.js', 'OrbitControls.js', 'LICENSE'}
    for name, digest in told:
        assert hashlib.sha256((VIEWER / 'three' / name).read_bytes()).hexdigest() == digest


def test_the_same_frames_give_the_same_bytes(frames: list[Snapshot], tmp_path: Path) -> None:
    for name in ('a.html', 'b.html'):
        write(tmp_path / name, frames, ALL)
    assert (tmp_path / 'a.html').read_bytes() == (tmp_path / 'b.html').read_bytes()


def test_what_is_stopped_leaves_nothing(frames: list[Snapshot], tmp_path: Path) -> None:
    def stopped() -> Iterator[Snapshot]:
        yield frames[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'page.html', stopped(), ALL)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_page_is_kept_and_an_empty_one_refused(frames: list[Snapshot], tmp_path: Path) -> None:
    path = tmp_path / 'page.html'
    with pytest.raises(GdfusionError, match='no frames'):
        write(path, [], ALL)
    path.write_text('mine')
    with pytest.raises(GdfusionError, match='exists already'):
        write(path, frames, ALL)
    assert path.read_text() == 'mine'


def test_a_name_that_looks_like_a_place_in_the_page_is_a_name(street: SemanticGrid, tmp_path: Path) -> None:
    path = tmp_path / 'page.html'
    grid = dataclasses.replace(street, model='{{frames}} {{style}}\x1b[2J')
    write(path, [Snapshot(grid)], Parts(truth=False, images=False))
    assert '{{frames}} {{style}}\\\\x1b[2J' in path.read_text()
