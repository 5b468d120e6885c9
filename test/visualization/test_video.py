from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.visualization.sheet import HEIGHT, WIDTH, picture
from gdfusion_ros.visualization.snapshot import Parts, Snapshot
from gdfusion_ros.visualization.video import frame_rate, write

pytestmark = pytest.mark.slow

SECOND = 1_000_000_000
NOTHING = Parts(truth=False, images=False)


@pytest.fixture(scope='module')
def frames(street: SemanticGrid) -> list[Snapshot]:
    """A block of cars, one of buses, one of cars."""
    cars, buses = (np.full((9, 9, 3), street.label_set.by_name(name).id, np.uint8) for name in ('car', 'bus'))
    return [Snapshot(dataclasses.replace(street, labels=labels)) for labels in (cars, buses, cars)]


def test_video_has_every_frame_at_its_time(frames: list[Snapshot], tmp_path: Path) -> None:
    av = pytest.importorskip('av', reason='PyAV is not installed')
    path = tmp_path / 'video.mp4'
    write(path, iter(frames), NOTHING, Fraction(2))
    assert list(tmp_path.iterdir()) == [path]
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ('h264', 'yuv420p')
        decoded = [(float(frame.time), frame.to_ndarray(format='rgb24')) for frame in file.decode(stream)]
    assert [time for time, _ in decoded] == [0, 0.5, 1]
    assert decoded[0][1].shape == (HEIGHT, WIDTH, 3)
    for frame, (_, pixels) in zip(frames, decoded, strict=True):
        assert np.abs(pixels.astype(int) - np.asarray(picture(frame, NOTHING))).mean() < 5


def test_players_find_the_index_before_the_pictures(frames: list[Snapshot], tmp_path: Path) -> None:
    pytest.importorskip('av', reason='PyAV is not installed')
    path = tmp_path / 'video.mp4'
    write(path, frames[1:2], NOTHING, Fraction(10))
    content = path.read_bytes()
    assert content[4:8] == b'ftyp'
    assert content.index(b'moov') < content.index(b'mdat')


def test_what_is_stopped_leaves_nothing(frames: list[Snapshot], tmp_path: Path) -> None:
    pytest.importorskip('av', reason='PyAV is not installed')

    def stopped() -> Iterator[Snapshot]:
        yield frames[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'video.mp4', stopped(), NOTHING, Fraction(2))
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept(frames: list[Snapshot], tmp_path: Path) -> None:
    pytest.importorskip('av', reason='PyAV is not installed')
    path = tmp_path / 'video.mp4'
    path.write_text('mine')
    with pytest.raises(GdfusionError, match='exists already'):
        write(path, frames, NOTHING, Fraction(2))
    assert path.read_text() == 'mine'


def test_without_pyav_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(GdfusionError, match=r"pip install 'gdfusion-ros\[video\]'"):
        write(tmp_path / 'video.mp4', [], NOTHING, Fraction(2))


def test_without_the_encoder_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip('av', reason='PyAV is not installed')
    monkeypatch.setattr(av, 'codecs_available', {'mpeg4'})
    with pytest.raises(GdfusionError, match='built without libx264'):
        write(tmp_path / 'video.mp4', [], NOTHING, Fraction(2))


@pytest.mark.parametrize(
    ('stamps', 'rate'),
    [
        ([0, SECOND // 2, SECOND], Fraction(2)),
        ([0, 83_300_000, 166_700_000, 250_000_000, 5 * SECOND], Fraction(12)),
        ([0, 100, 200], Fraction(60)),
        ([0, 1000 * SECOND], Fraction(1, 10)),
        ([3 * SECOND, 4 * SECOND, 3 * SECOND, 4 * SECOND], Fraction(1)),
        ([5], Fraction(1)),
        ([], Fraction(1)),
    ],
)
def test_real_time_after_the_stamps(stamps: list[int], rate: Fraction) -> None:
    assert float(frame_rate(stamps)) == pytest.approx(float(rate), rel=0.01)
