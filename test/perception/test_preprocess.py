"""The network's input image, against the recorded numbers and against PIL's resize of the whole image."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.preprocess import Preprocessor, ResizeCrop, normalize, normalized
from gdfusion_ros.perception.resize import bicubic, resize
from gdfusion_ros.perception.types import Pixels

CAMERAS = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')
LARGE, SMALL = (704, 256), (352, 128)


def pattern(camera: int, index: int) -> Pixels:
    """The synthetic image that was recorded: (900, 1600, 3) RGB."""
    u, v = np.meshgrid(np.arange(1600), np.arange(900))
    red = (7 * u + 3 * v + 11 * index + 29 * camera) % 256
    green = (u * u // 97 + 5 * v + 17 * camera) % 256
    blue = ((u // 8) ^ (v // 8)) * 13 % 256
    return np.asarray(np.stack([red, green, blue], -1), np.uint8)


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(full: Pixels, output: tuple[int, int]) -> Pixels:
    """bevdetocc_gf.md §1 word by word: resize all of the image (the columns first, as Pillow 7 to 12 do), then crop."""
    height, width = full.shape[:2]
    scaled = (output[0], height * output[0] // width)
    top = scaled[1] - output[1]
    resized = (
        Image.fromarray(full)
        .resize((scaled[0], height), Image.Resampling.BICUBIC)
        .resize(scaled, Image.Resampling.BICUBIC)
    )
    return np.asarray(resized.crop((0, top, output[0], scaled[1])))


def filter_weights(start: float, end: float, size: int, output: int) -> list[dict[int, int]]:
    """Source row -> fixed-point weight, for each output row, as Pillow computes them (Resample.c, bicubic)."""
    scale = (end - start) / output
    support = 2.0 * max(scale, 1.0)
    rows = []
    for row in range(output):
        centre = start + (row + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), size)
        weights = [cubic((index + first - centre + 0.5) * (1.0 / max(scale, 1.0))) for index in range(last - first)]
        total = sum(weights)
        fixed = {first + index: round(weight / total * (1 << 22)) for index, weight in enumerate(weights)}
        rows.append({index: weight for index, weight in fixed.items() if weight})
    return rows


def cubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2.0 else 0.0


@pytest.mark.parametrize('camera', ['CAM_FRONT', 'CAM_BACK'])
@pytest.mark.parametrize('size', [(256, 704), (896, 1600)])
def test_it_equals_the_recorded_numbers(recordings: Path, camera: str, size: tuple[int, int]) -> None:
    recorded = np.load(recordings / 'preprocess.npz')
    name = f'{camera}_{size[0]}x{size[1]}'
    full = pattern(CAMERAS.index(camera), 3)
    result = normalize([ResizeCrop((1600, 900), size[::-1])(full)], torch.device('cpu'))[0]
    seed = np.random.Generator(np.random.PCG64(zlib.crc32(f'idx/pre/{name}'.encode())))
    chosen = seed.integers(0, result.numel(), 2048)
    np.testing.assert_allclose(result.contiguous().flatten()[chosen], recorded[name], rtol=0, atol=1e-6)
    np.testing.assert_allclose(result.mean((1, 2)), recorded[f'{name}_mean_per_channel'], atol=1e-4)


def test_channels_are_reversed_under_the_statistics_of_rgb() -> None:
    red = np.zeros((2, 3, 3), np.uint8)
    red[..., 0] = 255
    result = normalize([red, ~red], torch.device('cpu'))
    assert result.shape == (2, 3, 2, 3)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    low = [(0 - 123.675) / 58.395, (0 - 116.28) / 57.12, (0 - 103.53) / 57.375]
    high = [(255 - 123.675) / 58.395, (255 - 116.28) / 57.12, (255 - 103.53) / 57.375]
    np.testing.assert_allclose(result[0, :, 0, 0], [low[0], low[1], high[2]], rtol=1e-6)
    np.testing.assert_allclose(result[1, :, 1, 2], [high[0], high[1], low[2]], rtol=1e-6)


def test_every_form_of_the_normalisation_gives_the_same_bits() -> None:
    images = [noise(96, 64), noise(96, 64)[::-1], np.arange(64 * 96 * 3, dtype=np.uint8).reshape(64, 96, 3)]
    stacked = torch.from_numpy(np.stack(images)).flip(-1).float()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    plain = ((stacked - mean) / std).permute(0, 3, 1, 2)
    assert torch.equal(normalize(images, torch.device('cpu')), plain)
    np.testing.assert_array_equal(normalized(images), plain)


SOURCES = [
    (1600, 900),
    (1600, 896),
    (1920, 1080),
    (1920, 1200),
    (1280, 720),
    (1280, 800),
    (1936, 1216),
    (1440, 1080),
    (2048, 1536),
    (1024, 768),
    (640, 480),
    (1601, 907),
]


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('output', [LARGE, SMALL])
def test_rows_that_the_crop_drops_are_not_needed(source: tuple[int, int], output: tuple[int, int]) -> None:
    full = noise(*source)
    np.testing.assert_array_equal(ResizeCrop(source, output)(full), whole(full, output))


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('output', [LARGE, SMALL])
def test_the_filter_has_the_weights_of_the_whole_image(source: tuple[int, int], output: tuple[int, int]) -> None:
    # Stronger than any number of images: the resize is fixed by its integer weights.
    crop = ResizeCrop(source, output)
    for size, resized, begin in ((source[0], output[0], 0), (source[1], crop.scaled_height, max(crop.top, 0))):
        made = bicubic(size, resized, begin, resized)
        weights = [
            {int(first) + tap: int(weight) for tap, weight in enumerate(row) if weight}
            for first, row in zip(made.first, made.weights, strict=True)
        ]
        assert weights == filter_weights(0.0, size, size, resized)[begin:]
        assert made.end == 1 + max(max(row) for row in weights)


@pytest.mark.parametrize('source', [(1, 1), (3, 2), (5, 33), (33, 5)])
@pytest.mark.parametrize('output', [(2, 1), (8, 16)])
def test_tiny_images_are_resized_as_well(source: tuple[int, int], output: tuple[int, int]) -> None:
    full = noise(*source)
    resized = full[..., ::-1]  # not contiguous
    columns, rows = (bicubic(size, new, 0, new) for size, new in zip(source, output, strict=True))
    by_pillow = Image.fromarray(np.ascontiguousarray(resized))
    for size in ((output[0], source[1]), output):
        by_pillow = by_pillow.resize(size, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize(resized, columns, rows), np.asarray(by_pillow))


def test_only_the_rows_that_are_kept_are_looked_at() -> None:
    columns, rows = ResizeCrop((1600, 900), LARGE).filters
    assert (int(rows.first[0]), rows.end) == (315, 900)
    assert len(columns.first) == 704


def test_it_takes_less_time_than_the_whole_image() -> None:
    full = noise(1600, 900)

    def fastest(work: Callable[[], object]) -> float:
        spent = []
        for _ in range(5):
            begin = time.thread_time()
            work()
            spent.append(time.thread_time() - begin)
        return min(spent)

    crop = ResizeCrop((1600, 900), LARGE)
    assert fastest(lambda: crop(full)) < 0.9 * fastest(lambda: whole(full, LARGE))


def test_pixels_map_as_the_matrices_say() -> None:
    crop = ResizeCrop((1600, 900), LARGE)
    np.testing.assert_allclose(crop.post_rotation(), np.diag([0.44, 0.44, 1.0]))
    np.testing.assert_array_equal(crop.post_translation(), [0.0, -140.0, 0.0])
    full = np.zeros((900, 1600, 3), np.uint8)
    full[498:502, 998:1002] = 255  # a dot round pixel corner (1000, 500)
    rows, columns = np.nonzero(crop(full)[..., 0] > 100)
    u, v, _ = crop.post_rotation() @ [1000, 500, 1] + crop.post_translation()
    assert columns.mean() + 0.5 == pytest.approx(u, abs=0.5)
    assert rows.mean() + 0.5 == pytest.approx(v, abs=0.5)


@pytest.mark.parametrize(
    ('source', 'scale', 'top'),
    [((1600, 900), 0.44, 140), ((1920, 1080), 704 / 1920, 140), ((800, 450), 0.88, 140), ((1600, 400), 0.44, -80)],
)
def test_other_sizes_are_scaled(source: tuple[int, int], scale: float, top: int) -> None:
    crop = ResizeCrop(source, LARGE)
    np.testing.assert_allclose(np.diag(crop.post_rotation()), [scale, scale, 1.0])
    assert crop.top == top
    assert crop(noise(*source)).shape == (256, 704, 3)


def test_a_wide_image_is_black_above() -> None:
    result = ResizeCrop((1600, 400), LARGE)(np.full((400, 1600, 3), 200, np.uint8))
    assert not result[:80].any()
    assert (result[80:] == 200).all()


@pytest.fixture
def preprocessor() -> Iterator[Preprocessor]:
    made = Preprocessor((16, 32))
    yield made
    made.close()


class Source:
    """A full image that counts how often it is loaded, and can be held back."""

    def __init__(self, pixels: NDArray[np.uint8] | None = None) -> None:
        self.pixels = noise(64, 48) if pixels is None else pixels
        self.loaded = 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self) -> Pixels:
        self.free.wait()
        self.loaded += 1
        return self.pixels


def test_an_image_is_made_once_and_only_when_it_is_wanted(preprocessor: Preprocessor) -> None:
    source = Source()
    image = preprocessor.image(source)
    assert source.loaded == 0
    image.start()
    image.start()
    made = image.result()
    assert image.result() is made
    assert source.loaded == 1
    assert made.source == (64, 48)
    np.testing.assert_array_equal(made.pixels, whole(source.pixels, (32, 16)))


def test_starting_does_not_wait_and_results_do(preprocessor: Preprocessor) -> None:
    source = Source()
    source.free.clear()
    image = preprocessor.image(source)
    image.start()
    assert source.loaded == 0
    threading.Timer(0.05, source.free.set).start()
    assert image.result().pixels.shape == (16, 32, 3)


def test_cancelled_work_can_be_taken_up_again(preprocessor: Preprocessor) -> None:
    busy = Source()
    busy.free.clear()
    for _ in range(2):
        preprocessor.image(busy).start()
    source = Source()
    image = preprocessor.image(source)
    image.start()
    image.cancel()
    busy.free.set()
    other = Source()
    preprocessor.image(other).result()
    assert source.loaded == 0
    assert image.result().pixels.shape == (16, 32, 3)


def test_an_image_that_cannot_be_loaded_says_so_every_time(preprocessor: Preprocessor) -> None:
    def broken() -> Pixels:
        raise GdfusionError('/CAM_FRONT/image/compressed at 1.000000000: cannot be decoded')

    image = preprocessor.image(broken)
    for _ in range(2):
        with pytest.raises(GdfusionError, match='CAM_FRONT'):
            image.result()


def test_after_close_nothing_is_made(preprocessor: Preprocessor) -> None:
    image = preprocessor.image(Source())
    preprocessor.close()
    image.start()
    with pytest.raises(GdfusionError, match='given up'):
        image.result()


def test_work_that_waits_at_close_is_given_up(preprocessor: Preprocessor) -> None:
    busy = Source()
    busy.free.clear()
    images = [preprocessor.image(busy) for _ in range(3)]
    for image in images:
        image.start()
    threading.Timer(0.05, busy.free.set).start()
    preprocessor.close()
    assert images[0].result().source == (64, 48)
    with pytest.raises(GdfusionError, match='given up'):
        images[2].result()
