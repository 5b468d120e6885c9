from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages import decode, encode
from gdfusion_ros.messages.factory import Message, MessageFactory, header
from gdfusion_ros.perception.types import Pixels, SemanticGrid

TOPIC, STAMP = '/CAM_FRONT/image', 1_500_000_000_012_345_678
WIDTH, HEIGHT = 6, 4


@pytest.fixture
def rgb() -> Pixels:
    """Every pixel and channel another value."""
    return np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)


def raw(make: MessageFactory, encoding: str, rows: Pixels, *, step: int | None = None, height: int = HEIGHT) -> Message:
    data = np.ascontiguousarray(rows).reshape(-1)
    return make('sensor_msgs/msg/Image', header=header(STAMP, 'CAM_FRONT', make), height=height, width=WIDTH,
                encoding=encoding, step=step or rows.shape[1], data=make.array(data))


def compressed(make: MessageFactory, data: bytes) -> Message:
    return make('sensor_msgs/msg/CompressedImage', header=header(STAMP, 'CAM_FRONT', make), format='jpeg',
                data=make.array(np.frombuffer(data, np.uint8)))


def jpeg(pixels: Pixels, kind: str = 'JPEG') -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


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
    image = decode.image(raw(make, encoding, np.pad(rows, ((0, 0), (0, padding)))), TOPIC)
    assert (image.stamp, image.frame_id) == (STAMP, 'CAM_FRONT')
    assert np.array_equal(image.load(), rgb)


def test_grey_is_the_same_in_all_channels(make: MessageFactory, rgb: Pixels) -> None:
    loaded = decode.image(raw(make, 'mono8', rgb[..., 0]), TOPIC).load()
    assert np.array_equal(loaded, np.repeat(rgb[..., :1], 3, axis=-1))


@pytest.mark.parametrize(('encoding', 'pattern'), [('bayer_rggb8', 'rggb'), ('bayer_bggr8', 'bggr'),
                                                   ('bayer_gbrg8', 'gbrg'), ('bayer_grbg8', 'grbg')])
def test_bayer_gives_back_a_flat_colour(make: MessageFactory, encoding: str, pattern: str) -> None:
    pytest.importorskip('cv2')
    color = {'r': 200, 'g': 120, 'b': 40}
    tile = np.array([color[letter] for letter in pattern], np.uint8).reshape(2, 2)
    loaded = decode.image(raw(make, encoding, np.tile(tile, (HEIGHT // 2, WIDTH // 2))), TOPIC).load()
    assert np.array_equal(loaded[1:-1, 1:-1], np.broadcast_to([200, 120, 40], (HEIGHT - 2, WIDTH - 2, 3)))


def test_raw_image_is_a_view_where_it_can_be(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'rgb8', rgb.reshape(HEIGHT, -1))
    assert np.shares_memory(decode.image(message, TOPIC).load(), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(('change', 'reason'), [
    ({'encoding': 'yuv422'}, "unknown image encoding 'yuv422'; known are rgb8"),
    ({'step': 3}, 'step 3 is too small for 6 pixels of rgb8'),
    ({'height': 5}, r'72 bytes of data, expected 18 x 5 = 90'),
    ({'height': 0}, 'empty'),
])
def test_bad_raw_image_is_refused_with_topic_and_stamp(make: MessageFactory, rgb: Pixels, change: dict[str, Any],
                                                       reason: str) -> None:
    arguments = {'encoding': 'rgb8', 'rows': rgb.reshape(HEIGHT, -1), **change}
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{reason}'):
        decode.image(raw(make, **arguments), TOPIC)


def test_other_encodings_go_to_the_fallback(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'yuv422', rgb.reshape(HEIGHT, -1))
    given, place = decode.image(message, TOPIC, lambda *arguments: arguments).load()
    assert given is message
    assert place == f'{TOPIC} at 1500000000.012345678'


def test_image_without_frame_is_refused(make: MessageFactory, rgb: Pixels) -> None:
    message = raw(make, 'rgb8', rgb.reshape(HEIGHT, -1))
    message.header.frame_id = ''
    with pytest.raises(GdfusionError, match='no frame_id'):
        decode.image(message, TOPIC)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_compressed_image_is_decoded_as_rgb(make: MessageFactory, rgb: Pixels, kind: str) -> None:
    data = jpeg(rgb, kind)
    image = decode.compressed_image(compressed(make, data), TOPIC)
    assert (image.stamp, image.frame_id) == (STAMP, 'CAM_FRONT')
    assert np.array_equal(image.load(), np.asarray(Image.open(BytesIO(data)).convert('RGB')))


def test_grey_jpeg_has_three_channels(make: MessageFactory, rgb: Pixels) -> None:
    assert decode.compressed_image(compressed(make, jpeg(rgb[..., 0])), TOPIC).load().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('damage', ['empty', 'cut', 'noise', 'other format'])
def test_bad_compressed_image_is_refused_with_topic_and_stamp(make: MessageFactory, damage: str) -> None:
    good = jpeg(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    data = {'empty': b'', 'cut': good[:len(good) // 2], 'noise': bytes(range(200)),
            'other format': jpeg(np.zeros((8, 8, 3), np.uint8), 'BMP')}[damage]
    image = decode.compressed_image(compressed(make, data), TOPIC)
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{len(data)} bytes'):
        image.load()


def camera_info(make: MessageFactory, k: tuple[float, ...], *, width: int = 1600, d: tuple[float, ...] = (),
                p: tuple[float, ...] = (0.0,) * 12) -> Message:
    return make('sensor_msgs/msg/CameraInfo', header=header(STAMP, 'CAM_FRONT', make), width=width, height=900,
                k=make.array(np.array(k, float)), d=make.array(np.array(d, float)), p=make.array(np.array(p, float)))


K = (1266.4, 0.0, 816.3, 0.0, 1267.0, 491.5, 0.0, 0.0, 1.0)


def test_camera_info_gives_size_and_intrinsics(make: MessageFactory) -> None:
    model = decode.camera_model(camera_info(make, K), TOPIC)
    assert (model.width, model.height) == (1600, 900)
    assert model.intrinsics.tolist() == [[1266.4, 0, 816.3], [0, 1267.0, 491.5], [0, 0, 1]]


@pytest.mark.parametrize(('k', 'width', 'reason'), [
    ((0.0,) * 9, 1600, 'K is empty'), ((float('nan'), *K[1:]), 1600, 'not finite'), (K, 0, 'without an image size')])
def test_bad_camera_info_is_refused(make: MessageFactory, k: tuple[float, ...], width: int, reason: str) -> None:
    with pytest.raises(GdfusionError, match=rf'^{TOPIC} at 1500000000.012345678: .*{reason}'):
        decode.camera_model(camera_info(make, k, width=width), TOPIC)


RECTIFIED = (1100.0, 0.0, 800.0, 0.0, 0.0, 1150.0, 450.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_rectified_images_have_the_intrinsics_of_p(make: MessageFactory) -> None:
    model = decode.camera_model(camera_info(make, K, p=RECTIFIED), TOPIC)
    assert model.intrinsics.tolist() == [[1100.0, 0.0, 800.0], [0.0, 1150.0, 450.0], [0.0, 0.0, 1.0]]
    with pytest.raises(GdfusionError, match='the intrinsic matrix P is empty'):
        decode.camera_model(camera_info(make, K, p=(1100.0,) + (0.0,) * 11), TOPIC)


def test_distortion_is_seen_but_not_refused(make: MessageFactory) -> None:
    assert not decode.is_raw(camera_info(make, K))
    assert not decode.is_raw(camera_info(make, K, d=(0, 0, 0, 0, 0)))
    distorted = camera_info(make, K, d=(-0.1, 0, 0, 0, 0))
    assert decode.is_raw(distorted)
    assert decode.camera_model(distorted, TOPIC).width == 1600
    k_alone = (*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0)
    assert decode.is_raw(camera_info(make, K, d=(-0.1, 0, 0, 0, 0), p=k_alone))
    assert not decode.is_raw(camera_info(make, K, d=(-0.1, 0, 0, 0, 0), p=RECTIFIED)), 'image_proc leaves D as it was'


def transform(make: MessageFactory, parent: str = 'map', child: str = 'base_link',
              xyz: tuple[float, ...] = (1.0, 2.0, 3.0),
              xyzw: tuple[float, ...] = (0.0, 0.6, 0.0, 0.8)) -> Message:
    return make('geometry_msgs/msg/TransformStamped', header=header(STAMP, parent, make), child_frame_id=child,
                transform=make('geometry_msgs/msg/Transform',
                               translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', xyz, strict=True))),
                               rotation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', xyzw, strict=True)))))


def tf_message(make: MessageFactory, *transforms: Message) -> Message:
    return make('tf2_msgs/msg/TFMessage', transforms=list(transforms))


def test_transform_keeps_direction_and_order(make: MessageFactory) -> None:
    good, bad = decode.transforms(tf_message(make, transform(make, parent='/map')), '/tf')
    assert good == [('map', 'base_link', STAMP, (1.0, 2.0, 3.0), (0.0, 0.6, 0.0, 0.8))]
    assert bad == []


@pytest.mark.parametrize(('change', 'reason'), [
    ({'xyz': (float('nan'), 0.0, 0.0)}, 'not finite'), ({'xyzw': (0.0, 0.0, 0.0, 0.0)}, 'no unit quaternion'),
    ({'xyzw': (0.0, 0.0, 0.0, 2.0)}, 'no unit quaternion'), ({'child': 'map'}, 'two different frames'),
    ({'parent': ''}, 'two different frames')])
def test_bad_transform_is_refused_and_the_others_stay(make: MessageFactory, change: dict[str, Any],
                                                      reason: str) -> None:
    good, bad = decode.transforms(tf_message(make, transform(make, **change), transform(make)), '/tf')
    assert [item.child for item in good] == ['base_link']
    error, = bad
    assert str(error).startswith('/tf at 1500000000.012345678: transform ')
    assert reason in str(error)


def test_grid_is_read_without_a_copy(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    grid = decode.semantic_grid(message, '/occ/occupancy')
    assert np.shares_memory(grid.labels, np.frombuffer(message.labels, np.uint8))
    assert grid.labels.flags.f_contiguous
    assert grid.label_set is scene.label_set


@pytest.mark.parametrize(('field', 'value', 'reason'), [
    ('size_x', 4, r'labels has 60 values, expected 4 x 4 x 5 = 80'), ('size_z', 0, 'expected 3 x 4 x 0 = 0'),
    ('label_set', 'mine', "unknown label set 'mine'"), ('free_label', 0, 'with 0 as free')])
def test_bad_grid_is_refused(scene: SemanticGrid, make: MessageFactory, field: str, value: object, reason: str) -> None:
    message = encode.occupancy(scene, make)
    setattr(message, field, value)
    with pytest.raises(GdfusionError, match=rf'^/occ/occupancy at 1533151603.512404001: .*{reason}'):
        decode.semantic_grid(message, '/occ/occupancy')


def test_grid_without_confidence(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    message.confidence = make.array(np.empty(0, np.uint8))
    assert decode.semantic_grid(message, '/occ/occupancy').confidence is None


def test_rotated_grid_is_refused(scene: SemanticGrid, make: MessageFactory) -> None:
    message = encode.occupancy(scene, make)
    message.origin.orientation.z = 1.0
    with pytest.raises(GdfusionError, match='rotated'):
        decode.semantic_grid(message, '/occ/occupancy')
