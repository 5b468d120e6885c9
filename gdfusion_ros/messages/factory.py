"""How a message is made, so that one function builds it for every message library."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from gdfusion_ros.perception.types import NANOSECONDS

Message = Any
"""A ROS message: an object with the fields of its interface definition."""


class MessageFactory(Protocol):
    """Makes the messages of one library."""

    def __call__(self, type_name: str, **fields: object) -> Message:
        """A message of type ``package/msg/Name``; fields that are not given have the zero value of their type.

        A field is a Python bool, int, float or str, a message, a list of messages or strings, or a result of
        ``array``.
        """
        ...

    def array(self, values: NDArray[Any]) -> Any:
        """``values`` as the library wants a sequence of numbers: the C-contiguous (n,) array's type is the field's."""
        ...


def time(stamp: int, make: MessageFactory) -> Message:
    """``builtin_interfaces/Time`` of a stamp [ns]."""
    seconds, nanoseconds = divmod(stamp, NANOSECONDS)
    return make('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)


def header(stamp: int, frame_id: str, make: MessageFactory) -> Message:
    """``std_msgs/Header`` of a stamp [ns] and a TF frame."""
    return make('std_msgs/msg/Header', stamp=time(stamp, make), frame_id=frame_id)


def stamp_of(time_message: Message) -> int:
    """``builtin_interfaces/Time`` or ``Duration`` [ns]."""
    return int(time_message.sec) * NANOSECONDS + int(time_message.nanosec)
