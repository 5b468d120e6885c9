"""Libraries that only one viewer needs."""

from __future__ import annotations

import importlib
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
