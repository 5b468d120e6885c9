"""What viewers share: libraries that only they need, and what is said of their servers."""

from __future__ import annotations

import importlib
import socket
from types import ModuleType

from gdfusion_ros.errors import GdfusionError


def library(name: str, extra: str) -> ModuleType:
    """The module ``name``, which the extra ``extra`` of this package brings.

    Raises:
        GdfusionError: it is not installed, or does not load.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise GdfusionError(
            f"this viewer needs the library '{name.partition('.')[0]}': pip install 'gdfusion-ros[{extra}]' ({error})"
        ) from error


def no_server(what: str, host: str, port: int, error: Exception) -> GdfusionError:
    """That a server cannot listen."""
    return GdfusionError(f'{what} cannot listen on {host}:{port}: {error}; choose another port')


def reached_as(host: str) -> str:
    """What others call a server that listens on ``host``; one that listens on every address goes by its computer's."""
    return socket.gethostname() if host in {'0.0.0.0', '::'} else host
