"""The page in a real browser: a headless Chromium, driven over a pipe by the DevTools protocol, that has no network."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.viewers.page import LivePage
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization.page import write
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
_SWITCHES = (
    '--headless=new',
    '--no-sandbox',
    '--remote-debugging-pipe',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--no-first-run',
    '--disable-extensions',
    '--disable-background-networking',
    '--hide-scrollbars',
)


def executable() -> str | None:
    """Where a Chromium is, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab, without a network.

    Attributes:
        complaints: What the page wrote to the console as an error or a warning, and exceptions that nobody caught.
        requests: Addresses that were asked for.
    """

    def __init__(self, commands: int, events: int, wait_until: Callable[..., None]) -> None:
        self._commands, self._events, self._wait_until = commands, events, wait_until
        self._buffer, self._number, self._session = b'', 0, ''
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = self._call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._call(f'{domain}.enable')
        self.connect(online=False)

    def connect(self, *, online: bool) -> None:
        """Give the tab a network, or take it away."""
        self._call(
            'Network.emulateNetworkConditions',
            offline=not online,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def size(self, width: int, height: int) -> None:
        """Resize the window [px]."""
        self._call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, page: Path | str, fragment: str = '') -> dict[str, str]:
        """Open a file or an address; returns what the page says that it drew."""
        address = page if isinstance(page, str) else page.as_uri()
        self.leave()
        self._call('Page.navigate', url=f'{address}{fragment}')
        return self.wait(lambda said: said.get('state') in ('ready', 'failed'))

    def leave(self) -> None:
        """Close the page."""
        self._call('Page.navigate', url='about:blank')

    def wait(self, condition: Callable[[dict[str, str]], object]) -> dict[str, str]:
        """The root element's data once ``condition`` holds for them and the picture is drawn."""
        said: dict[str, str] = {}

        def holds() -> object:
            said.clear()
            said.update(self.evaluate('({...document.documentElement?.dataset})'))
            return condition(said)

        self._wait_until(holds, lambda: f'the page says {said}; {self.complaints}')
        self.pause()
        return said

    def pause(self) -> None:
        """Let the page draw what is to be drawn."""
        frame = 'await new Promise(requestAnimationFrame); '
        self.evaluate(f'(async () => {{ {2 * frame} }})()')

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        result = self._call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ('keyDown', 'keyUp'):
            self._call('Input.dispatchKeyEvent', type=kind, key=key, code=key)

    def move(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self._call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Move the mouse with its left button held."""
        for kind, (x, y) in (('mousePressed', begin), ('mouseMoved', end), ('mouseReleased', end)):
            self._call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', buttons=1, clickCount=1)

    def screenshot(self) -> NDArray[np.uint8]:
        """(h, w, 3) what the window shows."""
        data = base64.b64decode(self._call('Page.captureScreenshot', format='png')['data'])
        return np.asarray(Image.open(BytesIO(data)).convert('RGB'))

    def _call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        message: dict[str, object] = {'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._commands, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']
            self._note(answer.get('method', ''), answer.get('params', {}))

    def _receive(self) -> dict[str, Any]:
        while b'\0' not in self._buffer:
            data = os.read(self._events, 1 << 20)
            if not data:
                raise RuntimeError('the browser has ended')
            self._buffer += data
        message, self._buffer = self._buffer.split(b'\0', 1)
        return dict(json.loads(message))

    def _note(self, method: str, event: Mapping[str, Any]) -> None:
        if method == 'Runtime.consoleAPICalled' and event['type'] in ('error', 'warning', 'assert'):
            self.complaints.append(str([argument.get('value') for argument in event['args']]))
        elif method == 'Runtime.exceptionThrown':
            self.complaints.append(str(event['exceptionDetails']))
        elif method == 'Log.entryAdded' and event['entry']['level'] in ('error', 'warning'):
            self.complaints.append(event['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.requests.append(event['request']['url'])


@contextmanager
def browser(program: str, profile: Path, wait_until: Callable[..., None]) -> Iterator[Browser]:
    """A running browser whose profile lies in the folder ``profile``."""
    command_end, commands = os.pipe()
    events, event_end = os.pipe()
    # The browser reads commands from descriptor 3 and answers on 4; bash puts the pipes there.
    process = subprocess.Popen(
        [
            'bash',
            '-c',
            f'exec "$@" 3<&{command_end} 4>&{event_end}',
            '-',
            program,
            *_SWITCHES,
            f'--user-data-dir={profile}',
        ],
        pass_fds=(command_end, event_end),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(command_end)
    os.close(event_end)
    try:
        yield Browser(commands, events, wait_until)
    finally:
        os.close(commands)
        os.close(events)
        process.terminate()
        process.wait()


ROAD, CAR = 11, 4
WINDOW = 900, 560
SHOWN = (
    "(() => { const box = document.getElementById('canvas').getBoundingClientRect(); "
    'return [box.left, box.top, box.right, box.bottom]; })()'
)


def crop(street: SemanticGrid, first: int, number: int) -> SemanticGrid:
    """24 m x 24 m of the street."""
    labels = np.asfortranarray(street.labels[first : first + 60, 75:135])
    origin = (-12.0, street.origin[1] + 75 * 0.4, street.origin[2])
    return dataclasses.replace(street, labels=labels, origin=origin, stamp=street.stamp + number * 500_000_000)


def cubes(grid: SemanticGrid, *hidden: int) -> int:
    """How many voxels have a face that no shown voxel covers; the lowest layer is covered from below."""
    shown = np.pad(grid.occupied & ~np.isin(grid.labels, hidden), 1)
    shown[:, :, 0] = True
    covered = [np.roll(shown, step, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for step in (-1, 1)]
    return int((shown[1:-1, 1:-1, 1:-1] & ~np.logical_and.reduce(covered)).sum())


@pytest.fixture(scope='module')
def frames(street: SemanticGrid) -> list[Snapshot]:
    """Three frames of a drive; the second has no ground truth."""
    grids = [crop(street, 60 + 5 * number, number) for number in range(3)]
    image: Pixels = np.full((90, 160, 3), (20, 120, 60), np.uint8)
    return [Snapshot(grid, grid if number != 1 else None, {'CAM_FRONT': image}) for number, grid in enumerate(grids)]


@pytest.fixture(scope='module')
def page(frames: list[Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('page') / 'page.html'
    write(path, frames, Parts(truth=True, images=True))
    return path


@pytest.fixture(scope='module')
def chromium(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]) -> Iterator[Browser]:
    program = executable()
    if program is None:
        pytest.skip(f'no browser: none of {", ".join(NAMES)} is installed')
    with browser(program, tmp_path_factory.mktemp('profile'), wait_until) as running:
        running.size(*WINDOW)
        yield running


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Browser]:
    """The browser; at the end nothing may have gone wrong in the page, or been asked for outside of it."""
    chromium.complaints.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.complaints == []
    assert {url.split(':', 1)[0] for url in chromium.requests} <= {'file', 'data', 'about'}
    assert len({url for url in chromium.requests if url.startswith('file:')}) == 1


def canvas(tab: Browser) -> NDArray[np.int64]:
    """(h, w, 3) what the canvas shows."""
    left, top, right, bottom = (round(value) for value in tab.evaluate(SHOWN))
    return tab.screenshot()[top:bottom, left:right].astype(int)


def magenta(pixels: NDArray[np.int64]) -> float:
    """Share of the road's colour."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return float(((red > 2 * green + 40) & (blue > 2 * green + 40)).mean())


def test_it_says_and_shows_what_it_draws(tab: Browser, page: Path, frames: list[Snapshot]) -> None:
    said = tab.open(page)
    assert said['state'] == 'ready'
    assert (said['frame'], said['frames'], said['view']) == ('0', '3', 'both')
    assert int(said['cubes']) == int(said['truthCubes']) == cubes(frames[0].grid)
    pixels = canvas(tab)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200
    assert magenta(pixels) > 0.05
    assert tab.evaluate('document.title') == 'bevdetocc_gf - semantic occupancy'
    assert tab.evaluate("document.querySelector('#images img[alt=CAM_FRONT]').naturalWidth") > 0


def test_prediction_and_truth_are_seen_from_the_same_place(tab: Browser, page: Path) -> None:
    tab.open(page)
    before = canvas(tab)
    tab.drag((200, 250), (120, 300))
    tab.pause()
    after = canvas(tab)
    assert np.abs(after - before).mean() > 5
    middle = after.shape[1] // 2
    left, right = after[80:-60, 20 : middle - 20], after[80:-60, middle + 20 : 2 * middle - 20]
    assert np.abs(left - right).mean() < 3


def test_slider_and_keys_move_through_the_frames(tab: Browser, page: Path, frames: list[Snapshot]) -> None:
    tab.open(page, '#view=prediction')
    first = canvas(tab)
    tab.evaluate(
        "(() => { const slider = document.getElementById('slider'); slider.value = 2; "
        "slider.dispatchEvent(new Event('input')); })()"
    )
    said = tab.wait(lambda said: said['frame'] == '2')
    assert int(said['cubes']) == cubes(frames[2].grid)
    assert np.abs(canvas(tab) - first).mean() > 3
    assert '2018-08-01 19:26:44.512' in tab.evaluate("document.getElementById('moment').textContent")
    tab.press('ArrowRight')  # on from the last one: the first
    tab.wait(lambda said: said['frame'] == '0')
    assert np.array_equal(canvas(tab), first)


def test_a_class_is_switched_off_and_on(tab: Browser, page: Path, frames: list[Snapshot]) -> None:
    tab.open(page, '#view=prediction')
    first = canvas(tab)
    box = f'document.querySelector(\'#classes li[data-label="{ROAD}"] input\')'
    tab.evaluate(f'{box}.click()')
    said = tab.wait(lambda said: said['hidden'] == 'driveable_surface')
    assert int(said['cubes']) == cubes(frames[0].grid, ROAD)
    assert magenta(canvas(tab)) < 0.001 < magenta(first)
    tab.wait(lambda _: tab.evaluate('location.hash') == '#frame=0&hide=driveable_surface&view=prediction')
    tab.evaluate(f'{box}.click()')
    tab.wait(lambda said: said['hidden'] == '')
    assert np.array_equal(canvas(tab), first)


def test_the_address_says_what_is_shown(tab: Browser, page: Path, frames: list[Snapshot]) -> None:
    said = tab.open(page, '#frame=2&hide=driveable_surface,car&view=truth')
    assert (said['frame'], said['hidden'], said['view']) == ('2', 'car,driveable_surface', 'truth')
    assert (int(said['cubes']), int(said['truthCubes'])) == (0, cubes(frames[2].grid, ROAD, CAR))


def test_a_frame_without_ground_truth_says_so(tab: Browser, page: Path) -> None:
    said = tab.open(page, '#frame=1')
    assert (said['view'], said['truthCubes']) == ('both', '0')
    assert tab.evaluate("document.getElementById('right-tag').textContent") == 'Ground truth: none at this stamp'
    right = canvas(tab)[60:-60, -150:-20]
    assert len(np.unique(right.reshape(-1, 3), axis=0)) == 1


STOP_AT_THE_THIRD = """(() => {
  const said = document.documentElement.dataset;
  window.seen = [];
  new MutationObserver(() => {
    if (seen.push(said.frame) === 3) document.getElementById('play').click();
  }).observe(document.documentElement, { attributeFilter: ['data-frame'] });
})()"""


def test_it_plays_by_itself_until_it_is_stopped(tab: Browser, page: Path) -> None:
    tab.open(page, '#view=prediction')
    tab.evaluate(STOP_AT_THE_THIRD)
    tab.press(' ')
    tab.wait(lambda _: tab.evaluate('seen.length') >= 3)
    # Frames stay for half a second: in the page's own time the next one would have come before this.
    tab.evaluate('new Promise((done) => setTimeout(done, 1500))')
    assert tab.evaluate('seen') == ['1', '2', '0']


def test_the_mouse_is_told_what_it_points_at(tab: Browser, page: Path) -> None:
    tab.open(page, '#view=prediction')
    left, top, right, bottom = tab.evaluate(SHOWN)
    tab.move((left + right) / 2, (top + bottom) / 2)
    tab.pause()
    words = tab.evaluate("document.getElementById('pointed').textContent")
    assert words.split()[0] in ('driveable_surface', 'other_flat', 'car')
    assert words.endswith(' m')


def test_a_small_window_holds_everything(tab: Browser, page: Path) -> None:
    tab.size(390, 800)
    try:
        tab.open(page)
        assert tab.evaluate('document.documentElement.scrollWidth') <= 390
        pixels = canvas(tab)
        assert min(magenta(pixels[: len(pixels) // 2]), magenta(pixels[len(pixels) // 2 :])) > 0.05
    finally:
        tab.size(*WINDOW)


@pytest.mark.parametrize(
    ('shape', 'edge', 'label'),
    [
        ((1, 1, 1), 0.4, CAR),
        ((1500, 1, 1), 0.4, CAR),
        ((1, 2, 1500), 0.4, CAR),
        ((6, 6, 3), 1e4, CAR),
        ((6, 6, 3), 0.4, 200),
        ((6, 6, 3), 0.4, 17),
    ],
)
def test_odd_grids_are_shown(
    tab: Browser, street: SemanticGrid, tmp_path: Path, shape: tuple[int, int, int], edge: float, label: int
) -> None:
    grid = dataclasses.replace(
        street, labels=np.full(shape, label, np.uint8, order='F'), voxel_size=(edge,) * 3, origin=(8.0, -0.5, 0.0)
    )
    free = dataclasses.replace(grid, labels=np.full_like(grid.labels, grid.label_set.free))
    pixels = []
    for name, shown in (('grid', grid), ('free', free)):
        path = tmp_path / name
        write(path.with_suffix('.html'), [Snapshot(shown)], Parts(truth=False, images=False))
        tab.requests.clear()
        said = tab.open(path.with_suffix('.html'))
        assert said['state'] == 'ready', tab.complaints
        assert int(said['cubes']) == cubes(shown)
        pixels.append(canvas(tab))
    assert (pixels[0] != pixels[1]).any() == (label != grid.label_set.free)


def test_what_goes_wrong_is_said_in_the_page(chromium: Browser, page: Path, tmp_path: Path) -> None:
    damaged = tmp_path / 'damaged.html'
    damaged.write_text(page.read_text('utf-8').replace('"labels":"', '"labels":"AAAA'), 'utf-8')
    assert chromium.open(damaged)['state'] == 'failed'
    assert chromium.evaluate("document.getElementById('message').hidden") is False


@pytest.fixture
def served(frames: list[Snapshot]) -> Iterator[LivePage]:
    """A live page that has got the first frame."""
    pytest.importorskip('websockets')
    live = LivePage('127.0.0.1', 0)
    live.show(View(frames[0]))
    yield live
    live.close()


@pytest.fixture
def online(chromium: Browser) -> Iterator[Browser]:
    """The browser with a network; at the end nothing may have gone wrong in the page."""
    chromium.connect(online=True)
    chromium.complaints.clear()
    yield chromium
    assert chromium.complaints == []
    chromium.leave()
    chromium.connect(online=False)


def test_a_live_page_follows_the_newest_frame_until_one_is_chosen(
    online: Browser, served: LivePage, frames: list[Snapshot]
) -> None:
    said = online.open(served.url, '#view=prediction')
    assert (said['state'], said['frames'], said['cubes']) == ('ready', '1', str(cubes(frames[0].grid)))
    first = canvas(online)
    served.show(View(frames[2]))
    said = online.wait(lambda said: said['frame'] == '1')
    assert said['cubes'] == str(cubes(frames[2].grid))
    assert np.abs(canvas(online) - first).mean() > 3
    assert online.evaluate("document.querySelector('#images img[alt=CAM_FRONT]').naturalWidth") > 0
    online.press('ArrowLeft')
    online.wait(lambda said: said['frame'] == '0')
    served.show(View(frames[1]))
    online.wait(lambda _: online.evaluate("document.getElementById('position').textContent") == '1 / 3')
    assert online.evaluate('document.documentElement.dataset.frame') == '0'
    online.press(' ')
    online.wait(lambda said: said['frame'] == '2')


def test_a_live_page_is_loaded_anew_where_another_network_goes_on(
    online: Browser, served: LivePage, frames: list[Snapshot]
) -> None:
    online.open(served.url)
    served.show(View(Snapshot(dataclasses.replace(frames[1].grid, model='another'))))
    online.wait(lambda _: online.evaluate('document.title') == 'another - semantic occupancy')
    online.wait(lambda said: said.get('state') == 'ready')


def test_a_live_page_says_that_its_server_is_gone(online: Browser, frames: list[Snapshot]) -> None:
    served = LivePage('127.0.0.1', 0)
    served.show(View(frames[0]))
    online.open(served.url)
    assert online.evaluate("document.getElementById('live').textContent") == 'live'
    served.close()
    online.wait(lambda _: online.evaluate("document.getElementById('live').textContent") == 'connection lost')
    online.leave()
    online.complaints.clear()
