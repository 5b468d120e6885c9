"""Messages of rclpy."""

from __future__ import annotations

import array
import importlib
import re
from functools import cache
from typing import Any

from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message

_TYPECODES = {
    'int8': 'b',
    'uint8': 'B',
    'int16': 'h',
    'uint16': 'H',
    'int32': 'i',
    'uint32': 'I',
    'int64': 'q',
    'uint64': 'Q',
    'float32': 'f',
    'float64': 'd',
}

_TYPE_NAME = re.compile(r'[A-Za-z]\w*/(msg|srv|action)/[A-Za-z]\w*', re.ASCII)


@cache
def message_class(type_name: str) -> Any:
    """The class of ``package/msg/Name`` (or srv).

    Raises:
        GdfusionError: that is no name of a type, the package is not installed, or has no such type.
    """
    if not _TYPE_NAME.fullmatch(type_name):
        raise GdfusionError(f"'{type_name}' is no name of a message type, which would be package/msg/Name")
    package, kind, name = type_name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except (ImportError, AttributeError) as error:
        raise GdfusionError(
            f'message type {type_name} is not installed: source the workspace that has the package {package}; '
            f"gdfusion-ros's extra 'ros' has those of Jazzy that are on PyPI ({error})"
        ) from error


def is_installed(type_name: str) -> bool:
    """Whether there is such a message type here."""
    try:
        return message_class(type_name) is not None
    except GdfusionError:
        return False


class RclpyMessages:
    """MessageFactory of rclpy."""

    def __call__(self, type_name: str, **fields: object) -> Message:
        """A message with these fields, the others zero."""
        return message_class(type_name)(**fields)

    def array(self, values: NDArray[Any]) -> array.array[Any]:
        """``values`` as array.array, filled by frombytes: rclpy takes it as it is, where bytes and lists are walked."""
        result: array.array[Any] = array.array(_TYPECODES[values.dtype.name])
        result.frombytes(values.tobytes())
        return result
