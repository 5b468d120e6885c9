"""Frames as an MP4 file that browsers and players show: H.264, 4:2:0, the index at the front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing, written_whole
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.visualization.sheet import HEIGHT, WIDTH, picture
from gdfusion_ros.visualization.snapshot import Parts, Snapshot

_SLOWEST, _FASTEST = Fraction(1, 10), Fraction(60)
_ENCODER: Final = 'libx264'
_OPTIONS = {'crf': '20', 'preset': 'veryfast', 'x264-params': 'colorprim=bt709:transfer=bt709:colormatrix=bt709'}


def frame_rate(stamps: Sequence[int]) -> Fraction:
    """Frames a second at which frames of these stamps [ns] show in real time, by the median of their intervals."""
    intervals = [after - before for before, after in pairwise(stamps) if after > before]
    if not intervals:
        return Fraction(1)
    rate = Fraction(NANOSECONDS, round(median(intervals))).limit_denominator(100)
    return min(max(rate, _SLOWEST), _FASTEST)


def require_encoder() -> None:
    """Make sure, before the work, that videos can be written.

    Raises:
        GdfusionError: PyAV is not installed, or without the H.264 encoder.
    """
    try:
        import av
    except ImportError as error:
        raise GdfusionError(f"videos are written with PyAV ({error}): pip install 'gdfusion-ros[video]'") from error
    if _ENCODER not in av.codecs_available:
        raise GdfusionError(f"PyAV is built without {_ENCODER}; pip has it with: pip install 'gdfusion-ros[video]'")


def write(path: Path, frames: Iterable[Snapshot], parts: Parts, rate: Fraction) -> None:
    """Write ``frames`` at ``rate`` a second, with a place for ``parts`` on each.

    Raises:
        GdfusionError: see ``require_encoder``; a file of that name exists, or it cannot be written.
    """
    require_encoder()
    import av

    refuse_existing(path)
    with (
        written_whole(path, new=True) as draft,
        av.open(draft, 'w', format='mp4', options={'movflags': '+faststart'}) as file,
    ):
        stream = file.add_stream(_ENCODER, rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for frame in frames:
            image = av.VideoFrame.from_ndarray(np.asarray(picture(frame, parts)))
            file.mux(stream.encode(image.reformat(format='yuv420p', dst_colorspace='ITU709')))
        file.mux(stream.encode(None))
