"""Shared memory of Fast DDS: the profile that asks for enough, whether it was given, what killed processes left."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

from gdfusion_ros.resources import resource

PROFILES = {
    'fastrtps': ('FASTRTPS_DEFAULT_PROFILES_FILE', 'config/fastdds_profile.xml'),
    'fastdds': ('FASTDDS_DEFAULT_PROFILES_FILE', 'config/fastdds3_profile.xml'),
}
"""ROS package of Fast DDS (2, up to Jazzy; 3, from Kilted on) -> the variable that it reads, and our profile for it.

Each refuses the other's file as a whole for one name in it. Fast DDS 3 reads the older variable too, but warns of it.
"""

_OPEN_FILES = Path('/proc/self/fd')
_PLACE = Path('/dev/shm')
_LOCK_OF_A_SEGMENT = re.compile(r'(fastrtps|fastdds)_[0-9a-f]{16}_el')
_WORTH_A_LINE = 10_000_000
"""Bytes: a tool that was killed leaves half a megabyte, a node with our profile 140."""


def set_profile(environment: MutableMapping[str, str]) -> None:
    """Name our profile for the Fast DDS of the ROS 2 that ``environment`` finds, unless the user has named one.

    Raises:
        GdfusionError: the installation lacks the profile.
    """
    if not any(environment.get(variable) for variable, _ in PROFILES.values()):
        variable, profile = PROFILES[fast_dds(environment)]
        environment[variable] = str(resource(profile))


def fast_dds(environment: Mapping[str, str]) -> str:
    """The ROS package of Fast DDS that rmw_fastrtps_cpp was built with; the older one where there is none."""
    for prefix in environment.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        manifest = Path(prefix, 'share', 'rmw_fastrtps_cpp', 'package.xml')
        if prefix and manifest.is_file():
            needed = {element.text for element in ET.parse(manifest).getroot()}
            return 'fastdds' if 'fastdds' in needed else 'fastrtps'
    return 'fastrtps'


def shortage(environment: Mapping[str, str] = os.environ) -> str | None:
    """What is wrong with the shared memory of this process, which has a ROS node by now, in one line; None if nothing.

    Fast DDS goes on without the segment that its profile asks for, or with one of 0.5 MB, and most images are lost.
    """
    if 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return None
    profile = next(
        (environment[variable] for variable, _ in reversed(PROFILES.values()) if environment.get(variable)), ''
    )
    wanted, there = _wanted(profile), _largest_segment()
    if there is None or there >= wanted:
        return None
    fault = (
        f'Fast DDS has {there / 1e6:.1f} MB of shared memory instead of the {wanted / 1e6:.1f} MB of {profile}: '
        'most images will be lost; '
    )
    free = shutil.disk_usage(_PLACE).free
    if free < wanted:
        return fault + f'{_PLACE} has {free / 1e6:.1f} MB left, make it larger (Docker: --shm-size=1g)'
    return fault + 'it said above what it does not take of this file'


def left_behind(place: Path = _PLACE) -> str | None:
    """What processes that were killed have left in the shared memory, in one line; None for little or nothing.

    Fast DDS removes a segment at the end of its process and at no other time. Its owner has locked the file beside it,
    and the system takes that lock from whoever dies.

    Args:
        place: Where the segments are.
    """
    dead = [size for lock in sorted(place.glob('fast*_el')) if (size := _dead(lock))]
    if sum(dead) < _WORTH_A_LINE:
        return None
    return (
        f'{place} holds {sum(dead) / 1e6:.0f} MB of {len(dead)} ROS processes that were killed: '
        "'fastdds shm clean' removes what nobody uses"
    )


def _dead(lock: Path) -> int:
    """The size [bytes] of a segment that nobody owns any more; 0 for all else."""
    if not _LOCK_OF_A_SEGMENT.fullmatch(lock.name):
        return 0
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that two who look do not mislead each other
        return _segment(lock).stat().st_size
    except OSError:  # locked, of another user, or gone meanwhile
        return 0


def _wanted(profile: str) -> int:
    """The largest segment that a profile asks for [bytes]; 0 for one that asks for none or cannot be read."""
    try:
        elements = ET.parse(profile).getroot().iter()
        return max((int(element.text or 0) for element in elements if element.tag.endswith('}segment_size')), default=0)
    except (OSError, ValueError, ET.ParseError):
        return 0


def _largest_segment() -> int | None:
    """The largest segment of Fast DDS that is this process's own [bytes]; None where the system does not tell.

    A process maps the segments of those that it hears, too; its own are those whose lock it keeps open.
    """
    if not (_OPEN_FILES.is_dir() and _PLACE.is_dir()):
        return None
    sizes = [0]
    for file in _OPEN_FILES.iterdir():
        with suppress(OSError):  # closed, or its segment removed, meanwhile
            lock = file.readlink()
            if lock.parent == _PLACE and _LOCK_OF_A_SEGMENT.fullmatch(lock.name):
                sizes.append(_segment(lock).stat().st_size)
    return max(sizes)


def _segment(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix('_el'))
