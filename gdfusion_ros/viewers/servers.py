"""What viewers that are servers say of themselves."""

from __future__ import annotations

import socket

from gdfusion_ros.errors import GdfusionError


def no_server(what: str, host: str, port: int, error: Exception) -> GdfusionError:
    """That a server cannot listen."""
    return GdfusionError(f'{what} cannot listen on {host}:{port}: {error}; choose another port')


def reached_as(host: str) -> str:
    """What others call a server that listens on ``host``; one that listens on every address goes by its computer's."""
    return socket.gethostname() if host in {'0.0.0.0', '::'} else host
