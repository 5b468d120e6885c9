"""Messages as the bytes that travel, for those with so many parts that an object for each would take too long."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ENCAPSULATION = b'\x00\x01\x00\x00'  # plain CDR, little-endian


class CdrWriter:
    """A message under construction, field after field, in little-endian CDR (OMG DDS-XTypes, plain CDR version 1).

    Every number lies at a multiple of its size, counted from behind the four bytes of the encapsulation.
    """

    def __init__(self) -> None:
        """Empty."""
        self._bytes = bytearray(_ENCAPSULATION)

    def numbers(self, form: str, *values: float) -> None:
        """Numbers of one type of the module struct, e.g. 'i', 'I', 'f', 'd'."""
        self._align(struct.calcsize(form))
        self._bytes += struct.pack(f'<{len(values)}{form}', *values)

    def string(self, text: str) -> None:
        """A string."""
        content = text.encode() + b'\0'
        self.numbers('I', len(content))
        self._bytes += content

    def sequence(self, values: NDArray[Any]) -> None:
        """A sequence whose (n, …) elements consist of numbers of one type."""
        self.numbers('I', len(values))
        if len(values):
            self._align(values.itemsize)
            self._bytes += np.ascontiguousarray(values, values.dtype.newbyteorder('<')).data

    def message(self) -> bytes:
        """What was written."""
        return bytes(self._bytes)

    def _align(self, size: int) -> None:
        self._bytes += bytes(-(len(self._bytes) - len(_ENCAPSULATION)) % size)
