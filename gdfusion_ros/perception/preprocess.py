"""From full images to the network's input (spec section 1)."""

from __future__ import annotations

from collections.abc import Callable

from gdfusion_ros.perception.types import NetworkPixels, Pixels


class Preprocessor:
    """Resizes, crops and normalises images, the first two in a small pool of threads."""

    def __init__(self, image_size: tuple[int, int]) -> None:
        """``image_size``: (H, W) of the network's input [px]."""
        self.image_size = image_size

    def pixels(self, load: Callable[[], Pixels]) -> NetworkPixels:
        """The network's input image of what ``load`` gives, made in the pool once it is started or asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the threads; work that has not begun is given up."""
        raise NotImplementedError
