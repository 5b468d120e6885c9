"""What a ROS 2 process needs in its environment, set before rclpy is imported."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import private_folder
from gdfusion_ros.ros.shared_memory import set_profile

_BOOTSTRAPPED = '_ROS_WHEELS_BOOTSTRAP_COMPLETE'
_DOMAINS = 100


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make ``environment`` fit for rclpy; what the user has set stays as it is.

    The Fast DDS profile widens the shared memory that images travel through: the default loses most of them. ROS 2
    installed by pip lives in the prefix of its virtual environment. A process without a home directory that can be
    written (a service, a container) keeps its ROS log and its compiled kernels below the temporary directory.

    Raises:
        GdfusionError: ROS 2 or this package's messages are not installed, or are of another Python, or the
            installation lacks the profile.
    """
    _require_ros()
    prefixes = [prefix for prefix in environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if prefix]
    if Path(sys.prefix, 'share', 'ament_index').is_dir() and sys.prefix not in prefixes:
        environment['AMENT_PREFIX_PATH'] = os.pathsep.join([*prefixes, sys.prefix])
    set_profile(environment)
    if not environment.get('ROS_LOG_DIR') and not _can_be_made(_default_log_directory(environment)):
        environment['ROS_LOG_DIR'] = str(_fallback_folder() / 'log')
    if not environment.get('NUMBA_CACHE_DIR') and not _can_be_made(_default_cache(environment)):
        environment['NUMBA_CACHE_DIR'] = str(_fallback_folder() / 'kernels')


@cache
def _fallback_folder() -> Path:
    """A folder below the temporary directory: this user's from the last time, else one for this process alone.

    Kernels are unpickled from it. Anybody can foresee its name, so that one which is a link, another user's, or open to
    others is not used.
    """
    usual = Path(tempfile.gettempdir(), f'gdfusion_ros-{os.getuid()}')
    if private_folder(usual):
        return usual
    own = tempfile.mkdtemp(prefix='gdfusion_ros-')
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _require_ros() -> None:
    for module, remedy in (
        ('rclpy', "source a ROS 2 installation, or pip install 'gdfusion-ros[ros]'"),
        ('gdfusion_ros.msg', "colcon build the package, or pip install 'gdfusion-ros[ros]' again"),
    ):
        if (spec := importlib.util.find_spec(module)) is None:
            raise GdfusionError(f"there is no Python module '{module}' here: {remedy} (gdfusion replay needs no ROS)")
        for folder in spec.submodule_search_locations or ():
            _require_this_python(Path(folder))


def _require_this_python(package: Path) -> None:
    """Refuse compiled modules that this Python cannot load: PYTHONPATH of a sourced ROS 2 comes before an environment.

    Raises:
        GdfusionError: the modules are another Python's.
    """
    compiled = [path.name for path in package.glob('*.cpython-*.so')]
    if compiled and not any(f'.{sys.implementation.cache_tag}-' in name for name in compiled):
        raise GdfusionError(
            f'{package} is of another Python than this one, {sys.version.split()[0]}: use a terminal in which that '
            'ROS 2 is not sourced (gdfusion replay needs no ROS)'
        )


def isolate(environment: MutableMapping[str, str]) -> None:
    """A ROS domain for this process and its children alone, on this machine only; unless the user has set one."""
    if 'ROS_DOMAIN_ID' not in environment:
        number, held = own_domain(os.getpid())
        atexit.register(held.close)  # until then it is held
        environment['ROS_DOMAIN_ID'] = str(number)
        environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


def own_domain(first: int) -> tuple[int, socket.socket]:
    """A ROS domain that no other process has by this function, for as long as the socket is open.

    The search goes from ``first`` on, round the numbers that are safe on every system (1 to 100). Who holds a
    domain holds the Linux socket of its name; where there are no such sockets, or all are held, it may be shared.
    """
    held = socket.socket(socket.AF_UNIX)
    domains = [1 + number % _DOMAINS for number in range(first, first + _DOMAINS)]
    for domain in domains:
        with suppress(OSError):
            held.bind(f'\0gdfusion_ros domain {domain}')
            return domain, held
    return domains[0], held


def for_child(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A copy of ``environment`` for a child process, which may run in another Python environment.

    The ROS 2 wheels start Python once again with their libraries on LD_LIBRARY_PATH and mark that it was done. A child
    that inherits the mark does not do so for itself, and one that inherits the path loads foreign libraries. Python is
    told to leave the current folder alone, where a checkout of this package would be taken for the package (3.11 on).
    """
    child = {**environment, 'PYTHONSAFEPATH': '1'}
    if child.pop(_BOOTSTRAPPED, None) is None:
        return child
    paths = child.pop('LD_LIBRARY_PATH', '').split(os.pathsep)
    own = [path for path in paths if path and not Path(path).is_relative_to(sys.prefix)]
    if own:
        child['LD_LIBRARY_PATH'] = os.pathsep.join(own)
    return child


def _default_log_directory(environment: Mapping[str, str]) -> Path | None:
    """Where rcl_logging writes without ROS_LOG_DIR; None without a home."""
    if environment.get('ROS_HOME'):
        return Path(environment['ROS_HOME'], 'log').expanduser()
    return Path(environment['HOME'], '.ros', 'log') if environment.get('HOME') else None


def _default_cache(environment: Mapping[str, str]) -> Path | None:
    """Where numba keeps compiled kernels when it may not write beside the code; None without a home."""
    if environment.get('XDG_CACHE_HOME'):
        return Path(environment['XDG_CACHE_HOME'])
    return Path(environment['HOME'], '.cache') if environment.get('HOME') else None


def _can_be_made(directory: Path | None) -> bool:
    """Make ``directory``, as rcl_logging would; whether files can be written into it."""
    if directory is None:
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)
