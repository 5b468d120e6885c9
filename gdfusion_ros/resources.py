"""Where the files that come with the package lie: in a checkout, or in the share folder of an installation."""

from __future__ import annotations

from pathlib import Path

from gdfusion_ros.errors import GdfusionError

PACKAGE = Path(__file__).parent


def share() -> Path:
    """The folder that holds ``config/`` and ``launch/``.

    The root of the checkout for an editable installation, else ``<prefix>/share/gdfusion_ros``, which is where pip
    (in an environment) and colcon (in a workspace) both put it. The package lies in ``lib/python3.x/site-packages`` of
    the prefix; colcon on Ubuntu 22.04 puts ``local/`` before that.
    """
    if (PACKAGE.parent / 'package.xml').is_file():
        return PACKAGE.parent
    places = [prefix / 'share' / 'gdfusion_ros' for prefix in PACKAGE.parents[3:5]]
    return next((place for place in places if place.is_dir()), places[0])


def resource(name: str) -> Path:
    """Path of a file of the package, e.g. ``config/fastdds_profile.xml``.

    Raises:
        GdfusionError: the installation lacks it.
    """
    path = share() / name
    if not path.is_file():
        raise GdfusionError(
            f'{path}: not found, this installation is incomplete; reinstall gdfusion-ros with pip on '
            'Linux x86-64, or build it with colcon'
        )
    return path
