"""Where the files that come with the package lie: in a checkout, or in the share folder of an installation."""

from __future__ import annotations

from pathlib import Path

from gdfusion_ros.errors import GdfusionError

PACKAGE = Path(__file__).parent


def share() -> Path:
    """The folder that holds ``config/`` and ``launch/``.

    The root of the checkout for an editable installation, else ``<prefix>/share/gdfusion_ros``, which is where pip
    (in an environment) and colcon (in a workspace) both put it.
    """
    if (PACKAGE.parent / 'package.xml').is_file():
        return PACKAGE.parent
    prefix = PACKAGE.parents[3]  # above lib/python3.x/site-packages/gdfusion_ros
    return prefix / 'share' / 'gdfusion_ros'


def resource(name: str) -> Path:
    """Path of a file of the package, e.g. ``config/fastdds_profile.xml``.

    Raises:
        GdfusionError: the installation lacks it.
    """
    path = share() / name
    if not path.is_file():
        raise GdfusionError(f'{path}: not found, this installation is incomplete; reinstall gdfusion-ros with pip on '
                            'Linux x86-64, or build it with colcon')
    return path
