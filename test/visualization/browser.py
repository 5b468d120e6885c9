"""A headless Chromium, driven over a pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
_SWITCHES = ('--headless=new', '--no-sandbox', '--remote-debugging-pipe', '--use-gl=angle', '--use-angle=swiftshader',
             '--enable-unsafe-swiftshader', '--no-first-run', '--disable-extensions', '--disable-background-networking',
             '--hide-scrollbars')
_TIMEOUT = 60.0


def executable() -> str | None:
    """Where a Chromium is, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab, without a network.

    Attributes:
        complaints: What the page wrote to the console as an error or a warning, and exceptions that nobody caught.
        requests: Addresses that were asked for.
    """

    def __init__(self, commands: int, events: int) -> None:
        self._commands, self._events = commands, events
        self._buffer, self._number, self._session = b'', 0, ''
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = self._call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._call(f'{domain}.enable')
        self._call('Network.emulateNetworkConditions', offline=True, latency=0, downloadThroughput=0,
                   uploadThroughput=0)

    def size(self, width: int, height: int, *, touch: bool = False) -> None:
        """Resize the window [px]."""
        self._call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=touch)

    def open(self, path: Path, fragment: str = '') -> dict[str, str]:
        """Open a file; returns what the page says that it drew."""
        self._call('Page.navigate', url='about:blank')
        self._call('Page.navigate', url=f'{path.as_uri()}{fragment}')
        return self.wait(lambda said: said.get('state') in ('ready', 'failed'))

    def wait(self, condition: Any) -> dict[str, str]:
        """The root element's data once ``condition`` holds for them and the picture is drawn."""
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            said: dict[str, str] = self.evaluate('({...document.documentElement?.dataset})')
            if condition(said):
                self.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))')
                return said
            time.sleep(0.02)
        raise TimeoutError(f'the page says {said}; {self.complaints}')

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        result = self._call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def key(self, key: str) -> None:
        """Press and release a key."""
        for kind in ('keyDown', 'keyUp'):
            self._call('Input.dispatchKeyEvent', type=kind, key=key, code=key)

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        """A mouse event, e.g. mousePressed."""
        self._call('Input.dispatchMouseEvent', type=kind, x=x, y=y, **more)

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
            if not select.select([self._events], [], [], _TIMEOUT)[0]:
                raise TimeoutError('the browser is silent')
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
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """A running browser whose profile lies in the folder ``profile``."""
    command_end, commands = os.pipe()
    events, event_end = os.pipe()
    # The browser reads commands from descriptor 3 and answers on 4; bash puts the pipes there.
    process = subprocess.Popen(
        ['bash', '-c', f'exec "$@" 3<&{command_end} 4>&{event_end}', '-', program, *_SWITCHES,
         f'--user-data-dir={profile}'],
        pass_fds=(command_end, event_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(command_end)
    os.close(event_end)
    try:
        yield Browser(commands, events)
    finally:
        os.close(commands)
        os.close(events)
        process.terminate()
        process.wait(20)
