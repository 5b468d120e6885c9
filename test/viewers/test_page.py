"""The live page's server. What a browser makes of it: test/visualization/test_page_in_browser.py."""

from __future__ import annotations

import dataclasses
import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.viewers.page import LivePage
from gdfusion_ros.viewers.servers import reached_as
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization.snapshot import Snapshot

client = pytest.importorskip('websockets.sync.client')
closed = pytest.importorskip('websockets.exceptions').ConnectionClosed


def view(number: int, model: str = 'tiny') -> View:
    labels = np.full((4, 4, 2), OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:number] = 4
    return View(
        Snapshot(
            SemanticGrid(
                number * 10**9,
                'base_link',
                (0.0, 0.0, 0.0),
                (0.4, 0.4, 0.4),
                labels,
                None,
                OCC3D_NUSCENES,
                model,
                1,
                ('CAM_FRONT',),
                0,
            )
        )
    )


@pytest.fixture
def live() -> Iterator[LivePage]:
    page = LivePage('127.0.0.1', 0)
    yield page
    page.close()


def get(live: LivePage, path: str = '/', **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(live.url + path, headers=headers)) as answer:
        return str(answer.read().decode())


def connect(live: LivePage, drive: int = 1, **options: Any) -> Any:
    return client.connect(f'{live.url.replace("http", "ws")}/{drive}', compression=None, max_size=None, **options)


def test_before_the_first_grid_the_page_waits(live: LivePage) -> None:
    assert 'Waiting for the first grid' in get(live)


def test_a_page_begins_with_the_newest_frame_and_gets_those_that_follow(live: LivePage, patience: float) -> None:
    for number in (1, 2):
        live.show(view(number))
    assert '"time":1.0' in get(live)
    with connect(live) as socket:
        assert json.loads(socket.recv(timeout=patience))['time'] == 1.0
        live.show(view(3))
        assert json.loads(socket.recv(timeout=patience))['time'] == 2.0


def test_a_frame_is_packed_only_when_somebody_looks(
    live: LivePage, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    packed: list[int] = []
    from gdfusion_ros.visualization import page

    pack = page.live_frame
    monkeypatch.setattr(
        page, 'live_frame', lambda frame, start: (packed.append(frame.grid.stamp), pack(frame, start))[1]
    )
    for number in (1, 2, 3):
        live.show(view(number))
    assert packed == []
    for _ in range(2):
        with connect(live) as socket:
            socket.recv(timeout=patience)
    assert packed == [3 * 10**9]


def test_a_page_of_another_drive_is_sent_away(live: LivePage, patience: float) -> None:
    live.show(view(1))
    with connect(live) as socket:
        socket.recv(timeout=patience)
        live.show(view(2, 'another'))
        with pytest.raises(closed):
            socket.recv(timeout=patience)
    assert '"model":"another"' in get(live)
    with connect(live, 2) as socket:
        assert json.loads(socket.recv(timeout=patience))['time'] == 0.0


@pytest.mark.parametrize('headers', [{'Origin': 'http://elsewhere.org'}, {'Host': 'elsewhere.org'}])
def test_pages_of_other_sites_get_nothing(live: LivePage, headers: dict[str, str]) -> None:
    live.show(view(1))
    with pytest.raises(HTTPError) as caught:
        get(live, **headers)
    assert caught.value.code == 403


def test_there_is_nothing_else(live: LivePage) -> None:
    assert get(live, '/favicon.ico') == ''
    with pytest.raises(HTTPError) as caught:
        get(live, '/etc/passwd')
    assert caught.value.code == 404


def test_a_page_for_others_is_named_as_they_reach_it() -> None:
    assert (reached_as('0.0.0.0'), reached_as('127.0.0.1')) == (socket.gethostname(), '127.0.0.1')


def test_a_port_that_is_taken_is_named(live: LivePage) -> None:
    port = int(live.url.rpartition(':')[2])
    with pytest.raises(GdfusionError, match=f'the page cannot listen on 127.0.0.1:{port}'):
        LivePage('127.0.0.1', port)


def test_closing_does_not_wait_for_those_who_look(patience: float) -> None:
    live = LivePage('127.0.0.1', 0)
    live.show(view(1))
    with connect(live) as socket:
        socket.recv(timeout=patience)
        live.close()
        with pytest.raises(closed):
            socket.recv(timeout=patience)


def test_other_classes_or_cameras_begin_a_drive(live: LivePage) -> None:
    live.show(view(1))
    grid = dataclasses.replace(view(2).snapshot.grid, cameras=('left', 'right'))
    live.show(View(Snapshot(grid)))
    assert '"drive":2' in get(live)
