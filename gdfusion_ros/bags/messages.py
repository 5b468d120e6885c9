"""The messages of a bag: their types, made and read with rosbags."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.resources import resource

GRID_TYPE = 'gdfusion_ros/msg/SemanticOccupancyGrid'

# Field defaults of the interface definitions that are not zero; rosbags does not keep them.
_DEFAULTS = {('geometry_msgs/msg/Quaternion', 'w'): 1.0}


@cache
def typestore() -> Typestore:
    """The types of ROS 2 Jazzy and SemanticOccupancyGrid. Humble's are the same on the wire wherever both exist."""
    store = get_typestore(Stores.ROS2_JAZZY)
    definition = resource('msg/SemanticOccupancyGrid.msg').read_text()
    store.register(get_types_from_msg(definition, GRID_TYPE))
    return store


def require_type(type_name: str) -> None:
    """Make sure that messages of a type can be written into a bag, which needs its definition.

    Raises:
        GdfusionError: they cannot.
    """
    try:
        typestore().get_msgdef(type_name)
    except (TypesysError, KeyError) as error:
        raise GdfusionError(
            f"message type {type_name} is none of ROS 2 Jazzy's own or of this package; a bag of "
            "others can be recorded with 'ros2 bag record'"
        ) from error


class RosbagsFactory:
    """The MessageFactory (see messages/factory.py) of rosbags' messages. Fields left out are as rclpy leaves them."""

    def __call__(self, type_name: str, **fields: object) -> Message:
        """See MessageFactory."""
        known = typestore().get_msgdef(type_name).fields
        if len(fields) < len(known):
            fields = {name: self._default(type_name, name, kind) for name, kind in known if name not in fields} | fields
        make: Any = typestore().types[type_name]
        return make(**fields)

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return values

    def _default(self, type_name: str, name: str, description: Any) -> object:
        return _DEFAULTS[type_name, name] if (type_name, name) in _DEFAULTS else self._zero(description)

    def _zero(self, description: Any) -> object:
        """The zero value of a field's type; arrays of numbers are numpy's, others are lists."""
        kind, detail = description
        if kind == Nodetype.NAME:
            return self(detail)
        if kind == Nodetype.BASE:
            name, _ = detail
            return '' if name == 'string' else _dtype(name).type(0).item()
        element, length = detail
        count = length if kind == Nodetype.ARRAY else 0
        if element[0] == Nodetype.BASE and element[1][0] != 'string':
            return np.zeros(count, _dtype(element[1][0]))
        return [self._zero(element) for _ in range(count)]


def _dtype(name: str) -> np.dtype[Any]:
    """The numpy type of a primitive of the interface definition language."""
    return np.dtype('uint8' if name in ('byte', 'char') else name)
