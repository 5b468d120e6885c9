"""The viewers that the node itself serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros.log import Log
from gdfusion_ros.settings import NodeSettings
from gdfusion_ros.viewers.background import Background
from gdfusion_ros.viewers.view import View, Viewer


class Audience(Protocol):
    """Whoever may look at grids."""

    def offer(self, make: Callable[[], View]) -> None:
        """There is a new view; returns at once."""

    def close(self) -> None:
        """There will be no more."""


class Nobody:
    """An Audience that is not there."""

    def offer(self, make: Callable[[], View]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def audience(settings: NodeSettings, to: Log) -> Audience:
    """The viewers that the settings ask for, being served.

    Raises:
        GdfusionError: a port is taken, or a viewer's library is not installed.
    """
    viewers: list[Viewer] = []
    try:
        if settings.page_port:
            from gdfusion_ros.viewers.page import LivePage

            viewers.append(page := LivePage(settings.viewer_host, settings.page_port))
            to.info(f'page: {page.url}')
        if settings.foxglove_port:
            from gdfusion_ros.viewers.foxglove import FoxgloveServer

            viewers.append(server := FoxgloveServer(settings.viewer_host, settings.foxglove_port))
            to.info(f'Foxglove: open a connection to {server.url}')
    except GdfusionError:
        for viewer in viewers:
            viewer.close()
        raise
    return Background(viewers, lambda line: to.warning('viewers', line)) if viewers else Nobody()
