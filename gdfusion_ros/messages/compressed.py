"""Files in ``sensor_msgs/CompressedImage``: what its ``format`` says of the pixels, and how they become RGB.

``format`` is 'jpeg' or 'png', or what compressed_image_transport writes: 'ENCODING; CODEC compressed TARGET', with the
encoding of the raw image, and that of the pixels in the file where they were converted.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import jpeg
from gdfusion_ros.messages.encodings import ENCODINGS, eight_bits, is_bayer, opencv, refusal, to_rgb
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.image_size import Size, require_size
from gdfusion_ros.perception.types import Pixels

_FIRST_BYTES = {'JPEG': b'\xff\xd8\xff', 'PNG': b'\x89PNG\r\n'}
_FILE_FORMATS = tuple(_FIRST_BYTES)
_PNG_BITS = 24
"""Where the bits of a sample stand in a PNG file, whose header chunk comes first."""


def load_compressed(data: Message, format_: str, size: Size | None) -> Pixels:
    """(h, w, 3) uint8 RGB of a JPEG or PNG file, whose size is judged before it is decoded (see ``require_size``).

    The colours are the file's own. A mosaic is taken for one where ``format_`` says so and the file has one channel.
    The file's EXIF orientation does not count, as in compressed_image_transport: CameraInfo is of the stored pixels.

    Raises:
        GdfusionError: it is no such file, is damaged, or is no image for the network.
    """
    encoding, _, written = (part.strip() for part in format_.partition(';'))
    if reason := refusal(encoding):
        raise GdfusionError(reason)
    try:
        with Image.open(BytesIO(data), formats=_FILE_FORMATS) as picture:
            require_size(picture.size, size)
            # What the pixels of the file are, where they were converted.
            pattern = (written.partition('compressed')[2].strip() or encoding).lower()
            mosaic = _has_mosaic(picture, pattern)
            if picture.format == 'PNG' and data[_PNG_BITS] == 16:
                pixels = _load_sixteen_bits(data)
            else:
                pixels = _load_eight_bits(picture, data, 'L' if mosaic else 'RGB')
    except UnidentifiedImageError as error:
        raise GdfusionError(_unidentified(data, format_)) from error
    except (GdfusionError, MemoryError):
        raise
    except Exception as error:  # of damaged files Pillow makes errors of many types
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise GdfusionError(f'the image of {len(data)} bytes cannot be decoded: {reason}') from error
    return to_rgb(np.atleast_3d(pixels)[..., :1], pattern.replace('16', '8')) if mosaic else pixels


def _unidentified(data: Message, format_: str) -> str:
    """Why a file is none that can be read."""
    head = bytes(data[:8])
    kind = next((name for name, first in _FIRST_BYTES.items() if head.startswith(first)), '')
    if kind:
        return (
            f'the {kind} file of {len(data)} bytes cannot be read: its header is damaged or cut off, or of a kind that '
            'nobody reads, such as JPEG of 12 bits; publish JPEG of 8 bits, or PNG'
        )
    return (
        f'the image of {len(data)} bytes is neither JPEG nor PNG; its format is {format_[:60]!r}: '
        'publish it as one of these, or raw'
    )


def _has_mosaic(picture: Image.Image, encoding: str) -> bool:
    """Whether a file whose pixels are called ``encoding`` holds a mosaic of colours."""
    if encoding.endswith('16') and picture.format != 'PNG':
        raise GdfusionError(
            f'a JPEG file cannot hold {encoding[:40]!r}: its values were cut off at 255; publish 8 bits, or PNG'
        )
    channels = len(picture.getbands())
    if not encoding.startswith('bayer'):
        return False
    if not is_bayer(encoding):
        known = ', '.join(filter(is_bayer, ENCODINGS))
        raise GdfusionError(f'unknown Bayer encoding {encoding[:40]!r}; there are {known}')
    if channels > 1:
        raise GdfusionError(f'the format says Bayer, but the file has {channels} channels, and it does not say of what')
    return True


def _load_eight_bits(picture: Image.Image, data: Message, mode: str) -> Pixels:
    """(h, w, 3) of mode RGB, (h, w) of mode L."""
    if picture.mode != mode:  # else converting would copy it
        return np.asarray(picture.convert(mode))
    found = jpeg.decoded(data) if (picture.format, mode) == ('JPEG', 'RGB') else None
    return np.asarray(picture) if found is None else found


def _load_sixteen_bits(data: Message) -> Pixels:
    """(h, w, 3) uint8 RGB; Pillow would drop the lower bytes of colours without a look at them."""
    cv2 = opencv('16-bit PNG')
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise GdfusionError(f'the image of {len(data)} bytes cannot be decoded')
    if samples.ndim == 2:
        return np.repeat(eight_bits(samples)[..., None], 3, -1)
    return eight_bits(samples[..., 2::-1])
