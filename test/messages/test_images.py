from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.encodings import ENCODINGS
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.messages.images import compressed_image, image
from gdfusion_ros.perception.types import Pixels

TOPIC, STAMP = '/CAM_FRONT/image', 1_500_000_000_012_345_678
WIDTH, HEIGHT = 6, 4


@pytest.fixture
def rgb() -> Pixels:
    """Every pixel and channel another value."""
    return np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)


def raw(make: MessageFactory, encoding: str, rows: Pixels, *, step: int | None = None, height: int = HEIGHT) -> Message:
    data = np.ascontiguousarray(rows).reshape(-1)
    return make(
        'sensor_msgs/msg/Image',
        header=header(STAMP, 'CAM_FRONT', make),
        height=height,
        width=WIDTH,
        encoding=encoding,
        step=step or rows.shape[1],
        data=make.array(data),
    )


def placed(message: Message, size: tuple[int, int] | None = None) -> str:
    """What is said of an image that is refused when it is decoded, less topic and stamp."""
    with pytest.raises(GdfusionError) as error:
        (image if hasattr(message, 'encoding') else compressed_image)(message, TOPIC, size).load()
    place, _, said = str(error.value).partition(': ')
    assert place == f'{TOPIC} at 1500000000.012345678'
    assert '\n' not in said
    return said


def compressed(make: MessageFactory, data: bytes, format_: str = 'jpeg') -> Message:
    return make(
        'sensor_msgs/msg/CompressedImage',
        header=header(STAMP, 'CAM_FRONT', make),
        format=format_,
        data=make.array(np.frombuffer(data, np.uint8)),
    )


def jpeg(pixels: Pixels, kind: str = 'JPEG') -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


ROS_ENCODINGS = (
    *(f'{name}{bits}' for name in ('rgb', 'rgba', 'bgr', 'bgra', 'mono') for bits in (8, 16)),
    *(f'{kind}C{channels}' for kind in ('8U', '8S', '16U', '16S', '32S', '32F', '64F') for channels in (1, 2, 3, 4)),
    *(f'bayer_{pattern}{bits}' for pattern in ('rggb', 'bggr', 'gbrg', 'grbg') for bits in (8, 16)),
    'uyvy',
    'yuv422',
    'yuyv',
    'yuv422_yuy2',
    'nv12',
    'nv21',
    'nv24',
)
"""All of sensor_msgs/image_encodings.hpp of Kilted."""

ALPHA = np.full((HEIGHT, WIDTH, 1), 9, np.uint8)
ENCODED: dict[str, Callable[[Pixels], Pixels]] = {
    'rgb8': lambda rgb: rgb,
    'bgr8': lambda rgb: rgb[..., ::-1],
    'rgba8': lambda rgb: np.concatenate([rgb, ALPHA], -1),
    'bgra8': lambda rgb: np.concatenate([rgb[..., ::-1], ALPHA], -1),
}


@pytest.mark.parametrize('encoding', ENCODED)
@pytest.mark.parametrize('padding', [0, 5])
def test_colour_images_become_rgb(make: MessageFactory, rgb: Pixels, encoding: str, padding: int) -> None:
    rows = ENCODED[encoding](rgb).reshape(HEIGHT, -1)
    encoded = image(raw(make, encoding, np.pad(rows, ((0, 0), (0, padding)))), TOPIC)
    assert (encoded.stamp, encoded.frame_id) == (STAMP, 'CAM_FRONT')
    assert np.array_equal(encoded.load(), rgb)


def test_grey_is_the_same_in_all_channels(make: MessageFactory, rgb: Pixels) -> None:
    loaded = image(raw(make, 'mono8', rgb[..., 0]), TOPIC).load()
    assert np.array_equal(loaded, np.repeat(rgb[..., :1], 3, axis=-1))


@pytest.mark.parametrize(
    ('encoding', 'pattern'),
    [('bayer_rggb8', 'rggb'), ('bayer_bggr8', 'bggr'), ('bayer_gbrg8', 'gbrg'), ('bayer_grbg8', 'grbg')],
)
def test_bayer_gives_back_a_flat_colour(make: MessageFactory, encoding: str, pattern: str) -> None:
    pytest.importorskip('cv2')
    color = {'r': 200, 'g': 120, 'b': 40}
    tile = np.array([color[letter] for letter in pattern], np.uint8).reshape(2, 2)
    loaded = image(raw(make, encoding, np.tile(tile, (HEIGHT // 2, WIDTH // 2))), TOPIC).load()
    assert np.array_equal(loaded[1:-1, 1:-1], np.broadcast_to([200, 120, 40], (HEIGHT - 2, WIDTH - 2, 3)))


def test_raw_image_is_a_view_where_it_can_be(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'rgb8', rgb.reshape(HEIGHT, -1))
    assert np.shares_memory(image(message, TOPIC).load(), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'encoding': 'nv24'}, "unknown image encoding 'nv24'; known are rgb8"),
        ({'encoding': '16UC1'}, "encoding '16UC1' holds numbers"),
        ({'step': 3}, 'step 3 is too small for 6 pixels of rgb8'),
        ({'height': 5}, r'72 bytes of data, expected 18 x 5 = 90'),
        ({'height': 0}, 'empty'),
    ],
)
def test_bad_raw_image_is_refused_with_topic_and_stamp(
    make: MessageFactory, rgb: Pixels, change: dict[str, Any], reason: str
) -> None:
    arguments = {'encoding': 'rgb8', 'rows': rgb.reshape(HEIGHT, -1), **change}
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{reason}'):
        image(raw(make, **arguments), TOPIC)


def test_other_encodings_go_to_the_fallback(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'nv24', rgb.reshape(HEIGHT, -1))

    def as_given(*arguments: object) -> Any:
        return arguments

    given, place = image(message, TOPIC, fallback=as_given).load()
    assert given is message
    assert place == f'{TOPIC} at 1500000000.012345678'


@pytest.mark.parametrize('frame_id', ['', '/', '//'])
def test_image_without_frame_is_refused(make: MessageFactory, rgb: Pixels, frame_id: str) -> None:
    message = raw(make, 'rgb8', rgb.reshape(HEIGHT, -1))
    message.header.frame_id = frame_id
    with pytest.raises(GdfusionError, match='no frame_id'):
        image(message, TOPIC)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_compressed_image_is_decoded_as_rgb(make: MessageFactory, rgb: Pixels, kind: str) -> None:
    data = jpeg(rgb, kind)
    encoded = compressed_image(compressed(make, data), TOPIC)
    assert (encoded.stamp, encoded.frame_id) == (STAMP, 'CAM_FRONT')
    assert np.array_equal(encoded.load(), np.asarray(Image.open(BytesIO(data)).convert('RGB')))


def test_grey_jpeg_has_three_channels(make: MessageFactory, rgb: Pixels) -> None:
    assert compressed_image(compressed(make, jpeg(rgb[..., 0])), TOPIC).load().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('damage', ['empty', 'cut', 'noise', 'other format'])
def test_bad_compressed_image_is_refused_with_topic_and_stamp(make: MessageFactory, damage: str) -> None:
    good = jpeg(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    data = {
        'empty': b'',
        'cut': good[: len(good) // 2],
        'noise': bytes(range(200)),
        'other format': jpeg(np.zeros((8, 8, 3), np.uint8), 'BMP'),
    }[damage]
    encoded = compressed_image(compressed(make, data), TOPIC)
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{len(data)} bytes'):
        encoded.load()


# --- 16 bits, YUV ----------------------------------------------------------------------------------------------------
GREY16 = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)


@pytest.mark.parametrize('big', [False, True])
def test_sixteen_bits_are_scaled_to_eight(make: MessageFactory, *, big: bool) -> None:
    message = raw(make, 'mono16', GREY16.astype('>u2' if big else '<u2').view(np.uint8))
    message.is_bigendian = type(message.is_bigendian)(big)
    assert np.array_equal(image(message, TOPIC).load(), np.repeat((GREY16 >> 8)[..., None], 3, -1))


@pytest.mark.parametrize('encoding', ['rgba16', 'bgra16', 'png'])
def test_alpha_does_not_hide_that_colours_have_fewer_bits(make: MessageFactory, rgb: Pixels, encoding: str) -> None:
    pixels = np.concatenate([rgb.astype(np.uint16) << 4, np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)], -1)
    if encoding == 'png':
        message = compressed(make, pytest.importorskip('cv2').imencode('.png', pixels)[1].tobytes(), 'png')
    else:
        message = raw(make, encoding, pixels.astype('<u2').reshape(HEIGHT, -1).view(np.uint8))
    assert 'its 16-bit values are of 11 bits at most' in placed(message)


@pytest.mark.parametrize(
    ('order', 'encoding'),
    [((0, 1, 2), 'rgb16'), ((2, 1, 0), 'bgr16'), ((0, 1, 2, 0), 'rgba16'), ((2, 1, 0, 0), 'bgra16')],
)
def test_sixteen_bits_of_colour(make: MessageFactory, rgb: Pixels, order: tuple[int, ...], encoding: str) -> None:
    rows = (rgb[..., order].astype('<u2') * 1000).reshape(HEIGHT, -1).view(np.uint8)
    assert np.array_equal(image(raw(make, encoding, rows), TOPIC).load(), rgb * np.uint16(1000) >> 8)


@pytest.mark.parametrize('bits', [10, 12, 14])
def test_fewer_bits_in_sixteen_are_refused(make: MessageFactory, bits: int) -> None:
    narrow = (GREY16 >> (16 - bits)).astype('<u2')
    assert f'its 16-bit values are of {bits} bits at most' in placed(raw(make, 'mono16', narrow.view(np.uint8)))
    file = BytesIO()
    Image.fromarray(narrow).save(file, 'PNG')
    assert f'of {bits} bits' in placed(compressed(make, file.getvalue(), 'mono16; png compressed mono16'))


@pytest.mark.parametrize(
    ('encoding', 'pixel'),
    [
        ('uyvy', (90, 81, 240, 81)),
        ('yuv422', (90, 81, 240, 81)),
        ('yuyv', (81, 90, 81, 240)),
        ('yuv422_yuy2', (81, 90, 81, 240)),
    ],
)
def test_yuv_422(make: MessageFactory, encoding: str, pixel: tuple[int, ...]) -> None:
    pytest.importorskip('cv2')
    rows = np.tile(np.array(pixel, np.uint8), (HEIGHT, WIDTH // 2))
    assert np.abs(image(raw(make, encoding, rows), TOPIC).load().astype(int) - RED).max() <= 2


@pytest.mark.parametrize(('encoding', 'chroma'), [('nv12', (90, 240)), ('nv21', (240, 90))])
def test_yuv_420(make: MessageFactory, encoding: str, chroma: tuple[int, int]) -> None:
    pytest.importorskip('cv2')
    planes = [np.full((HEIGHT, WIDTH), 81, np.uint8), np.tile(np.array(chroma, np.uint8), (HEIGHT // 2, WIDTH // 2))]
    loaded = image(raw(make, encoding, np.concatenate(planes)), TOPIC).load()
    assert loaded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(loaded.astype(int) - RED).max() <= 2


RED = np.array([255, 0, 0])


def test_an_odd_width_that_yuv_cannot_have_is_one_line(make: MessageFactory) -> None:
    pytest.importorskip('cv2')
    message = raw(make, 'uyvy', np.zeros((HEIGHT, 2 * WIDTH), np.uint8))
    message.width = WIDTH - 1
    assert placed(message).endswith(
        'cannot be uyvy, where pixels share their colour by twos: its width or height is odd'
    )


def test_every_encoding_of_ros_is_decoded_or_refused_by_name(make: MessageFactory) -> None:
    """And docs/images.md says which of both."""
    documented = (Path(__file__).resolve().parents[2] / 'docs' / 'images.md').read_text()
    for encoding in ROS_ENCODINGS:
        assert f'`{encoding}`' in documented, encoding
        known = ENCODINGS.get(encoding)
        if known is None:
            with pytest.raises(GdfusionError, match=f"encoding '{encoding}'"):
                image(raw(make, encoding, np.zeros((HEIGHT, 8 * WIDTH), np.uint8)), TOPIC)
            continue
        rows = np.full((known.rows(HEIGHT), WIDTH * known.pixel_bytes), 128, np.uint8)
        assert image(raw(make, encoding, rows), TOPIC).load().shape == (HEIGHT, WIDTH, 3)


def test_black_is_black_whatever_white_is(make: MessageFactory) -> None:
    """A camera with its cap on: no value says how many bits there are, and none has to."""
    black = np.zeros((HEIGHT, WIDTH), np.uint16)
    file = BytesIO()
    Image.fromarray(black).save(file, 'PNG')
    for encoded in (
        image(raw(make, 'mono16', black.view(np.uint8)), TOPIC),
        compressed_image(compressed(make, file.getvalue(), 'png'), TOPIC),
    ):
        pixels = encoded.load()
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        assert not pixels.any()


@pytest.mark.parametrize('encoding', ['bayer_rggb8', 'bayer_gbrg16'])
def test_a_mosaic_without_an_inner_pixel_is_refused(make: MessageFactory, encoding: str) -> None:
    """OpenCV would give a black image."""
    pytest.importorskip('cv2')
    rows = np.full((2, WIDTH * ENCODINGS[encoding].pixel_bytes), 200, np.uint8)
    assert placed(raw(make, encoding, rows, height=2)) == 'a mosaic of 6 x 2 pixels is too small to tell its colours'


# --- what a compressed image's format says ---------------------------------------------------------------------------
def mosaic(rgb: Pixels) -> Pixels:
    grey = rgb[..., 1].copy()
    grey[::2, ::2], grey[1::2, 1::2] = rgb[::2, ::2, 0], rgb[1::2, 1::2, 2]
    return grey


FLAT = np.broadcast_to(np.array([200, 120, 40], np.uint8), (16, 24, 3))


@pytest.mark.parametrize(
    ('pixels', 'kind', 'format_'),
    [
        (FLAT, 'JPEG', 'rgb8; jpeg compressed bgr8'),
        (FLAT, 'JPEG', 'bgr8; jpeg compressed bgr8'),
        (FLAT, 'JPEG', 'rgb8; jpeg compressed '),
        (FLAT, 'JPEG', 'rgb16; jpeg compressed bgr8'),
        (mosaic(FLAT), 'PNG', 'bayer_rggb8'),
        (FLAT, 'JPEG', 'bayer_rggb8; jpeg compressed bgr8'),
        (FLAT, 'PNG', ''),
        (FLAT, 'PNG', 'bgra8; png compressed bgra8'),
        (mosaic(FLAT), 'JPEG', 'bayer_rggb8; jpeg compressed '),
        (mosaic(FLAT), 'PNG', 'bayer_rggb8; png compressed '),
        (mosaic(FLAT).astype(np.uint16) * 257, 'PNG', 'bayer_rggb16; png compressed '),
    ],
)
def test_every_format_gives_the_same_colours(make: MessageFactory, pixels: Pixels, kind: str, format_: str) -> None:
    pytest.importorskip('cv2')
    loaded = compressed_image(compressed(make, jpeg(pixels, kind), format_), TOPIC).load()
    assert np.abs(loaded[1:-1, 1:-1].astype(int) - FLAT[1:-1, 1:-1]).max() <= 24, 'JPEG blurs a mosaic'
    assert loaded.shape == FLAT.shape


def test_sixteen_bit_png(make: MessageFactory, rgb: Pixels) -> None:
    cv2 = pytest.importorskip('cv2')
    for array, expected in (
        (GREY16, np.repeat((GREY16 >> 8)[..., None], 3, -1)),
        (rgb.astype(np.uint16)[..., ::-1] * 1000, rgb * np.uint16(1000) >> 8),
    ):
        data = cv2.imencode('.png', array)[1].tobytes()
        assert np.array_equal(compressed_image(compressed(make, data, 'png'), TOPIC).load(), expected)


@pytest.mark.parametrize('format_', ['h264', 'webp', '16UC1; compressedDepth png', 'theora', 'x' * 999])
def test_a_file_that_is_neither_jpeg_nor_png_is_refused_by_its_format(make: MessageFactory, format_: str) -> None:
    said = placed(compressed(make, b'\x00\x00\x00\x01\x67' + bytes(200), format_))
    assert format_[:5] in said
    assert len(said) < 200


@pytest.mark.parametrize(
    'format_',
    [
        'bayer_rggb8; png compressed mono8',
        'bayer_rggb8; png compressed bgr8',
        'mono8; png compressed mono8',
        'rgb8; png compressed mono8',
        'png',
    ],
)
def test_a_grey_file_that_is_no_mosaic_any_more_stays_grey(make: MessageFactory, rgb: Pixels, format_: str) -> None:
    loaded = compressed_image(compressed(make, jpeg(rgb[..., 0], 'PNG'), format_), TOPIC).load()
    assert np.array_equal(loaded, np.repeat(rgb[..., :1], 3, -1))


@pytest.mark.parametrize(
    'format_',
    [
        'bayer_rggb8; png compressed bayer_rggb8',
        'BAYER_RGGB8; png compressed ',
        'bayer_rggb16; png compressed bayer_rggb8',
    ],
)
def test_what_the_pixels_of_a_file_are_says_the_format_s_end(make: MessageFactory, format_: str) -> None:
    pytest.importorskip('cv2')
    loaded = compressed_image(compressed(make, jpeg(mosaic(FLAT), 'PNG'), format_), TOPIC).load()
    assert np.array_equal(loaded[1:-1, 1:-1], FLAT[1:-1, 1:-1])


FILES_OF_ONE_PICTURE = {
    'grey': ('L', 'PNG', {}),
    'grey and alpha': ('LA', 'PNG', {}),
    'one bit': ('1', 'PNG', {}),
    'palette': ('P', 'PNG', {}),
    'a transparent colour of a palette': ('P', 'PNG', {'transparency': 3}),
    'alpha': ('RGBA', 'PNG', {}),
    'progressive': ('RGB', 'JPEG', {'progressive': True}),
    'CMYK': ('CMYK', 'JPEG', {}),
    'no subsampling': ('RGB', 'JPEG', {'subsampling': 0}),
    'turned by EXIF': (
        'RGB',
        'JPEG',
        {'exif': b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'},
    ),
}


@pytest.mark.parametrize(('mode', 'kind', 'options'), FILES_OF_ONE_PICTURE.values(), ids=FILES_OF_ONE_PICTURE)
@pytest.mark.parametrize('behind', [b'', bytes(500), b'a trailer'], ids=['exact', 'padded', 'with a trailer'])
def test_every_kind_of_file_gives_its_picture(
    make: MessageFactory, mode: str, kind: str, options: dict[str, Any], behind: bytes
) -> None:
    ramp = np.mgrid[0:24, 0:32].astype(np.uint8)
    picture = Image.fromarray(np.stack([ramp[1] * 8, ramp[0] * 10, 255 - ramp[1] * 8], -1)).convert(mode)
    file = BytesIO()
    picture.save(file, kind, **options)
    loaded = compressed_image(compressed(make, file.getvalue() + behind), TOPIC).load()
    difference = np.abs(loaded.astype(int) - np.asarray(picture.convert('RGB')))
    assert difference.max() <= (0 if kind == 'PNG' else 40)
    assert difference.mean() <= (0 if kind == 'PNG' else 5)


def test_a_bayer_file_with_colours_is_refused(make: MessageFactory) -> None:
    for format_ in ('bayer_rggb8; jpeg compressed ', 'bayer_rggb8;jpeg', 'bayer_rggb8'):
        assert 'says Bayer, but the file has 3 channels' in placed(compressed(make, jpeg(FLAT), format_))


@pytest.mark.parametrize(
    ('format_', 'reason'),
    [
        ('mono16; jpeg compressed ', "a JPEG file cannot hold 'mono16'"),
        ('bayer_rggb16; jpeg compressed ', "a JPEG file cannot hold 'bayer_rggb16'"),
        ('bayer_rggb12; jpeg compressed ', "unknown Bayer encoding 'bayer_rggb12'; there are bayer_rggb8, "),
    ],
)
def test_a_grey_file_that_is_not_what_its_format_says_is_refused(
    make: MessageFactory, format_: str, reason: str
) -> None:
    assert reason in placed(compressed(make, jpeg(mosaic(FLAT)), format_))


@pytest.mark.parametrize(
    ('kind', 'at', 'byte'), [('JPEG', b'\xff\xc0\x00\x11', b'\x0c'), ('PNG', b'IHDR', None)], ids=['12 bits', 'cut off']
)
def test_a_file_that_cannot_be_read_is_called_what_it_is(
    make: MessageFactory, rgb: Pixels, kind: str, at: bytes, byte: bytes | None
) -> None:
    good = jpeg(rgb, kind)
    bits = good.index(at) + len(at)
    data = good[: bits + 14] if byte is None else good[:bits] + byte + good[bits + 1 :]
    assert placed(compressed(make, data)).startswith(f'the {kind} file of {len(data)} bytes cannot be read: its header')


# --- the size --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ('size', 'reason'),
    [
        ((1600, 2), 'more than 8 times as long'),
        ((3, 5999), 'more than 8 times as long'),
        ((8000, 6000), 'more than 33 million pixels'),
    ],
)
@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_an_odd_size_is_refused_before_it_is_decoded(
    make: MessageFactory, size: tuple[int, int], reason: str, kind: str
) -> None:
    file = BytesIO()
    Image.new('1' if kind == 'PNG' else 'L', size).save(file, kind)
    # Cut off behind the header: whoever decodes it gets another error.
    message = compressed(make, file.getvalue()[:1000])
    assert placed(message) == f'the image has {size[0]} x {size[1]} pixels: it' + placed(message).partition(': it')[2]
    assert reason in placed(message)
    assert placed(message, (1600, 900)).startswith(
        f'the image has {size[0]} x {size[1]} pixels, but its camera info says 1600 x 900: scale both alike'
    )


def test_a_raw_image_of_another_size_is_refused(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'rgb8', rgb.reshape(HEIGHT, -1))
    assert placed(message, (WIDTH, HEIGHT + 1)) == (
        'the image has 6 x 4 pixels, but its camera info says 6 x 5: scale both alike, or calibrate the camera for '
        'this size'
    )
    assert np.array_equal(image(message, TOPIC, (WIDTH, HEIGHT)).load(), rgb)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_a_damaged_file_is_an_image_or_one_line(make: MessageFactory, rgb: Pixels, kind: str) -> None:
    random = np.random.default_rng(0)
    good = np.frombuffer(jpeg(np.tile(rgb, (8, 8, 1)), kind), np.uint8)
    decoded: list[Pixels] = []
    lines: list[str] = []
    for _ in range(60):
        bad = good[: random.integers(1, len(good))].copy() if random.random() < 0.3 else good.copy()
        bad[random.integers(0, len(bad), 5)] = random.integers(0, 256, 5)
        try:
            decoded.append(compressed_image(compressed(make, bad.tobytes()), TOPIC, (8 * WIDTH, 8 * HEIGHT)).load())
        except GdfusionError as error:
            lines.append(str(error))
    assert len(lines) >= 20
    assert all(line.startswith(f'{TOPIC} at 1500000000.012345678: ') and line.isprintable() for line in lines)
    assert {(pixels.dtype, pixels.shape) for pixels in decoded} <= {(np.dtype(np.uint8), (8 * HEIGHT, 8 * WIDTH, 3))}
