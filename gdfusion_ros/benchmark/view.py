"""What it costs to show a grid: processor time of the thread that does it, which is not the one that computes grids."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.poses import pose_matrix
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.viewers.foxglove import FoxgloveServer
from gdfusion_ros.viewers.optional import library
from gdfusion_ros.viewers.rerun import to_file
from gdfusion_ros.viewers.view import PlacedCamera, View
from gdfusion_ros.visualization import page
from gdfusion_ros.visualization.snapshot import Snapshot

Show = Callable[[View], object]
_START, _PERIOD = 10**18, 10**8
_BOXES = 150


def run(frames: int, tick: Callable[[], object]) -> dict[str, float]:
    """Median seconds a grid by viewer, of ``frames`` grids; ``tick`` is called after each."""
    costs = {}
    for name, viewer in VIEWERS.items():
        with suppress(GdfusionError), viewer() as show:
            times = []
            for number in range(frames):
                view = _view(number)
                begin = time.thread_time()
                show(view)
                times.append(time.thread_time() - begin)
                tick()
            costs[name] = statistics.median(times)
    return costs


@contextmanager
def _page() -> Iterator[Show]:
    """The page packs a frame once, for however many browsers."""
    yield lambda view: page.live_frame(view.snapshot, _START)


@contextmanager
def _foxglove() -> Iterator[Show]:
    """A server with one client, which subscribes to everything."""
    connect = library('websockets.sync.client', 'page').connect
    closed = library('websockets.exceptions', 'page').ConnectionClosed
    server = FoxgloveServer('127.0.0.1', 0)
    with connect(server.url, subprotocols=['foxglove.sdk.v1'], max_size=None) as client:
        subscribed = threading.Event()

        def listen() -> None:
            with suppress(closed):
                for message in client:
                    if isinstance(message, str) and (said := json.loads(message))['op'] == 'advertise':
                        chosen = [{'id': channel['id'], 'channelId': channel['id']} for channel in said['channels']]
                        client.send(json.dumps({'op': 'subscribe', 'subscriptions': chosen}))
                    elif isinstance(message, bytes):
                        subscribed.set()

        threading.Thread(target=listen, daemon=True).start()
        while not subscribed.wait(0.1):
            server.show(_view(0))
        yield server.show
    server.close()


@contextmanager
def _rerun() -> Iterator[Show]:
    """A file."""
    with TemporaryDirectory() as folder:
        log = to_file(Path(folder) / 'drive.rrd')
        yield log.show
        log.close()


VIEWERS: Mapping[str, Callable[[], AbstractContextManager[Show]]] = {
    'page': _page,
    'foxglove': _foxglove,
    'rerun': _rerun,
}


def _view(number: int) -> View:
    """A street of boxes, 40,000 voxels of ground; the same for the same ``number``."""
    random = np.random.default_rng(number)
    labels = np.full(OCC3D_NUSCENES.grid.shape, OCC3D_NUSCENES.free, np.uint8, order='F')
    labels[:, :, 2] = OCC3D_NUSCENES.by_name('driveable_surface').id
    for x, y, label in zip(
        random.integers(0, 190, _BOXES), random.integers(0, 190, _BOXES), random.integers(1, 17, _BOXES), strict=True
    ):
        labels[x : x + 10, y : y + 5, 3:8] = label
    grid = SemanticGrid.of_labels(_START + number * _PERIOD, 'base_link', labels, OCC3D_NUSCENES, 'boxes')
    coarse = random.integers(0, 256, (32, 88, 3), np.uint8)
    pixels = coarse.repeat(8, axis=0).repeat(8, axis=1)
    still = pose_matrix((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    camera = PlacedCamera(np.array([[560.0, 0.0, 352.0], [0.0, 560.0, 128.0], [0.0, 0.0, 1.0]]), still)
    return View(
        Snapshot(grid, images=dict.fromkeys(SURROUND_CAMERAS, pixels)),
        dict.fromkeys(SURROUND_CAMERAS, camera),
        'map',
        still,
        {'network [ms]': 100.0},
    )
