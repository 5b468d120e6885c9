"""What the converter is measured against: the same JPEG files as CompressedImage, by rosbags alone and nothing else.

Imports nothing of this package, which would change how rosbags works.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

_IMAGE = 'sensor_msgs/msg/CompressedImage'


class Picture(NamedTuple):
    """An image file of a camera, with its stamp [ns]."""

    camera: str
    stamp: int
    path: Path


def write(bags: Sequence[tuple[Path, Sequence[Picture]]], storage: str) -> float:
    """Write bags of images; the seconds that it took."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: Any = store.types
    begin = time.perf_counter()
    for bag, pictures in bags:
        with Writer(bag, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
            cameras = {
                camera: writer.add_connection(f'/{camera}/image/compressed', _IMAGE, typestore=store)
                for camera in dict.fromkeys(picture.camera for picture in pictures)
            }
            for camera, stamp, path in pictures:
                header = types['std_msgs/msg/Header'](
                    stamp=types['builtin_interfaces/msg/Time'](*divmod(stamp, 10**9)), frame_id=camera
                )
                image = types[_IMAGE](header=header, format='jpeg', data=np.fromfile(path, np.uint8))
                writer.write(cameras[camera], stamp, store.serialize_cdr(image, _IMAGE))
    return time.perf_counter() - begin
