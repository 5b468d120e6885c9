"""Which viewers the node serves."""

from __future__ import annotations

import logging
import socket
import urllib.request

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.ros.log import Log
from gdfusion_ros.ros.viewers import Nobody, audience
from gdfusion_ros.settings import NodeSettings

pytest.importorskip('websockets')
pytest.importorskip('foxglove')

LOG = Log(logging.getLogger('viewers'))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        return int(taken.getsockname()[1])


def test_there_is_nobody_unless_a_port_is_given() -> None:
    assert isinstance(audience(NodeSettings(), LOG), Nobody)


def test_what_is_served_is_said_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with caplog.at_level('INFO'):
        viewers = audience(NodeSettings(page_port=port), LOG)
    assert caplog.messages[-1] == f'page: http://127.0.0.1:{port}'
    urllib.request.urlopen(f'http://127.0.0.1:{port}').close()
    viewers.close()
    with pytest.raises(OSError, match='refused'):
        urllib.request.urlopen(f'http://127.0.0.1:{port}')


def test_a_port_that_is_taken_leaves_no_other_viewer_behind() -> None:
    free = free_port()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(GdfusionError, match=f'cannot listen on 127.0.0.1:{port}'):
            audience(NodeSettings(page_port=free, foxglove_port=port), LOG)
    with pytest.raises(OSError, match='refused'):
        urllib.request.urlopen(f'http://127.0.0.1:{free}')
