"""The page of ``gdfusion render``, live: a small server gives it to browsers, and grids as they come (WebSocket).

Whoever asks for the address gets the page with the newest frame; the page then opens a WebSocket on its drive's address
and gets the JSON of every later frame, or of the newest one where it is slower than they come. A frame is packed when
the first browser asks for it, so that a page that nobody looks at costs nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from gdfusion_ros.viewers.optional import library
from gdfusion_ros.viewers.servers import no_server, reached_as
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization import page
from gdfusion_ros.visualization.snapshot import Snapshot

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

T = TypeVar('T')

_LOOPBACK = ('127.0.0.1', 'localhost', '::1')
_FAREWELL = 1.0
"""How long a browser may take to answer that the connection ends [s]."""
_WAITING = """<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>Semantic occupancy</title>
<p style="font: 16px system-ui, sans-serif">Waiting for the first grid …</p>
"""


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame, counted from 1, of the drive that began with frame ``drive``, which was ``first``."""

    number: int
    snapshot: Snapshot
    drive: int
    first: Snapshot

    def packed(self) -> str:
        """As JSON."""
        return self._packed

    def page(self) -> str:
        """The page of the drive with this frame."""
        return page.live_page(self.first, self._packed, self.drive)

    @cached_property
    def _packed(self) -> str:
        return page.live_frame(self.snapshot, self.first.grid.stamp)

    def next(self, snapshot: Snapshot) -> _Frame:
        """The frame after this one; where pages that are open do not know its classes or cameras, a drive begins."""
        before, grid = self.first.grid, snapshot.grid
        known = (
            (grid.model, grid.label_set) == (before.model, before.label_set)
            and (snapshot.truth is None or self.first.truth is not None)
            and set(snapshot.cameras) <= set(self.first.cameras)
        )
        number = self.number + 1
        return _Frame(number, snapshot, self.drive, self.first) if known else _Frame(number, snapshot, number, snapshot)


class LivePage:
    """A Viewer that serves the page.

    Attributes:
        url: Where it is.
    """

    def __init__(self, host: str, port: int) -> None:
        """Serve on ``host``; port 0 takes any that is free.

        Raises:
            GdfusionError: the port is taken, or the library websockets is not installed.
        """
        self._serve = library('websockets.asyncio.server', 'page').serve
        self._closed = library('websockets.exceptions', 'page').ConnectionClosed
        self._local = host in _LOOPBACK
        self._frame: _Frame | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name='page', daemon=True).start()
        try:
            self._server = self._wait_for(self._started(host, port))
        except OSError as error:
            self._end()
            raise no_server('the page', host, port, error) from error
        self.url = f'http://{reached_as(host)}:{self._server.sockets[0].getsockname()[1]}'

    def show(self, view: View) -> None:
        """Send the view to every browser that is there."""
        self._wait_for(self._take(view.snapshot))

    def close(self) -> None:
        """Close the connections; the pages stay as they are."""
        self._wait_for(self._stop())
        self._end()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, done by the server's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _started(self, host: str, port: int) -> Server:
        server: Server = await self._serve(
            self._send_frames, host, port, process_request=self._answer, compression=None, close_timeout=_FAREWELL
        )
        return server

    async def _stop(self) -> None:
        self._frame = None
        self._changed.set()
        self._server.close()
        await self._server.wait_closed()

    async def _take(self, snapshot: Snapshot) -> None:
        self._frame = self._frame.next(snapshot) if self._frame else _Frame(1, snapshot, 1, snapshot)
        self._changed.set()
        self._changed = asyncio.Event()

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page, or None where a page asks for a WebSocket.

        What the cameras see is for whoever opens the page: no page of another site gets at it by the address, nor by a
        name that it has given to this computer.
        """
        host, origin = request.headers.get('Host', ''), request.headers.get('Origin')
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or (self._local and urlsplit(f'//{host}').hostname not in _LOOPBACK):
            return connection.respond(HTTPStatus.FORBIDDEN, 'this page is not for other sites\n')
        if 'Upgrade' in request.headers:
            return None
        if request.path != '/':
            asks_for_icon = request.path == '/favicon.ico'  # every browser does, and complains where there is nothing
            return connection.respond(HTTPStatus.NO_CONTENT if asks_for_icon else HTTPStatus.NOT_FOUND, '')
        text = await asyncio.to_thread(self._frame.page) if self._frame else _WAITING
        response = connection.respond(HTTPStatus.OK, text)
        del response.headers['Content-Type']
        response.headers.update({'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store'})
        return response

    async def _send_frames(self, connection: ServerConnection) -> None:
        """Send frames to one page for as long as it is there and its drive goes on."""
        sent = 0
        try:
            while True:
                changed, frame = self._changed, self._frame
                if frame is None or connection.request is None or connection.request.path != f'/{frame.drive}':
                    return  # that was the end, or the page comes back and gets the one of this drive
                if frame.number == sent:
                    await changed.wait()
                    continue
                await connection.send(await asyncio.to_thread(frame.packed))
                sent = frame.number
        except self._closed:
            return
