"""From full images to the network's input (bevdetocc_gf.md §1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.ops.compiled import serial
from gdfusion_ros.perception.resize import Filter, bicubic, resize
from gdfusion_ros.perception.types import InputImage, Matrix, Pixels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_THREADS = 2
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)
_VALUES = (np.arange(256, dtype=np.float32)[:, None] - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
"""(256, 3) what each byte becomes as B, G, R."""


@dataclass(frozen=True)
class ResizeCrop:
    """How a full image becomes the network's: scaled to its width, then its lower part is taken.

    Attributes:
        source: (width, height) of the full image [px].
        output: (width, height) of the network's image [px].
    """

    source: tuple[int, int]
    output: tuple[int, int]

    @property
    def scaled_height(self) -> int:
        """Height of the whole image once it is scaled [px]."""
        return self.source[1] * self.output[0] // self.source[0]

    @property
    def top(self) -> int:
        """Row of the scaled image where the output begins [px]; negative where rows above it are missing (black)."""
        return self.scaled_height - self.output[1]

    def post_rotation(self) -> Matrix:
        """(3, 3): source pixel (u, v, 1) -> output pixel, without the shift."""
        scale = self.output[0] / self.source[0]
        return np.diag([scale, scale, 1.0])

    def post_translation(self) -> Matrix:
        """(3,) [px]: the shift of that mapping."""
        return np.array([0.0, -self.top, 0.0])

    @cached_property
    def filters(self) -> tuple[Filter, Filter]:
        """Of the columns, and of the rows that are kept."""
        (width, height), bottom = self.source, self.scaled_height
        return bicubic(width, self.output[0], 0, self.output[0]), bicubic(height, bottom, max(self.top, 0), bottom)

    def __call__(self, full: Pixels) -> Pixels:
        """(H, W, 3) uint8 of the full (h, w, 3) image: the crop of PIL's bicubic resize of all of it, bit for bit.

        The columns are resized first, then the rows, whatever order PIL would choose.
        """
        lower = resize(full, *self.filters)
        return lower if self.top >= 0 else np.pad(lower, ((-self.top, 0), (0, 0), (0, 0)))


@lru_cache
def resize_crop(source: tuple[int, int], output: tuple[int, int]) -> ResizeCrop:
    """That ``ResizeCrop``; what follows from the sizes alone is computed once."""
    return ResizeCrop(source, output)


class Preprocessor:
    """Makes the network's input images of full images, in a small pool of threads.

    Decoding and resizing hold no lock of the interpreter, so that other threads run meanwhile.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        """``image_size``: (H, W) of the network's input [px]."""
        height, width = image_size
        self._output = (width, height)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix='preprocess')

    def image(self, load: Callable[[], Pixels]) -> BackgroundImage:
        """The network's input image of the full one that ``load`` gives; made once it is started or asked for."""
        return BackgroundImage(self._pool, load, self._output)

    def close(self) -> None:
        """Stop the threads; work that has not begun is given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class BackgroundImage:
    """An input image that a pool of threads makes. Every method may be called from any thread."""

    def __init__(self, pool: ThreadPoolExecutor, load: Callable[[], Pixels], output: tuple[int, int]) -> None:
        """``load`` gives the full image, ``output`` is (width, height) of what is made of it [px]."""
        self._pool = pool
        self._load: Callable[[], Pixels] | None = load
        self._output = output
        self._future: Future[InputImage] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin the work, if it has not begun."""
        self._started()

    def cancel(self) -> None:
        """Give up work that has not begun; ``start`` or ``result`` take it up again."""
        with self._lock:
            if self._future is not None and self._future.cancel():
                self._future = None

    def result(self) -> InputImage:
        """The image, as soon as it is there.

        Raises:
            GdfusionError: it cannot be decoded, or its set or the whole preprocessor was given up.
        """
        try:
            return self._started().result()
        except CancelledError as error:
            raise GdfusionError(
                'the image was given up before it was decoded: the pipeline was reset or stopped'
            ) from error

    def _started(self) -> Future[InputImage]:
        with self._lock:
            if self._future is None:
                try:
                    self._future = self._pool.submit(self._make)
                except RuntimeError:  # the pool is shut down
                    self._future = _given_up()
            return self._future

    def _make(self) -> InputImage:
        load, self._load = self._load, None  # a full image is large, and is not needed again
        assert load is not None, 'an image is made once'
        full = load()
        source = (full.shape[1], full.shape[0])
        return InputImage(resize_crop(source, self._output)(full), source)


def _given_up() -> Future[InputImage]:
    future: Future[InputImage] = Future()
    future.cancel()
    return future


def normalize(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """(N, 3, H, W) float32 on ``device``, channels last in memory, of N (H, W, 3) uint8 RGB input images.

    The channels come out reversed, B, G, R, and are normalised by the statistics of R, G, B in that order [QUIRK 1].
    The bytes go to another device as they are, and nothing waits for it.
    """
    import torch

    from gdfusion_ros.model.runtime.upload import upload

    pixels = np.stack(images)
    if device.type == 'cpu':
        return torch.from_numpy(_normal(pixels)).permute(0, 3, 1, 2)
    stacked = upload(torch.from_numpy(pixels), device).flip(-1)
    # Whole rows at once: a loop over three channels is ten times slower.
    rows = stacked.float().flatten(2)
    mean, std = (upload(torch.tensor(values), device).repeat(stacked.shape[2]) for values in (_MEAN, _STD))
    return rows.sub_(mean).div_(std).view(stacked.shape).permute(0, 3, 1, 2)


def normalized(images: Sequence[Pixels]) -> NDArray[np.float32]:
    """The same without torch, bit for bit, the channels first in memory."""
    return np.ascontiguousarray(_normal(np.stack(images)).transpose(0, 3, 1, 2))


def compile_images() -> None:
    """Compile what makes images, or take it from the disk, so that the first one is made as fast as all others."""
    normalized([ResizeCrop((1, 1), (1, 1))(np.zeros((1, 1, 3), np.uint8))])


def _normal(pixels: Pixels) -> NDArray[np.float32]:
    """(N, H, W, 3) of (N, H, W, 3)."""
    values = np.empty(pixels.shape, np.float32)
    _look_up(pixels.reshape(-1, 3), _VALUES, values.reshape(-1, 3))
    return values


@serial
def _look_up(pixels: Pixels, table: NDArray[np.float32], values: NDArray[np.float32]) -> None:
    """(n, 3): the values of the channels, reversed."""
    for pixel in range(len(pixels)):
        for channel in range(3):
            values[pixel, channel] = table[pixels[pixel, 2 - channel], channel]
