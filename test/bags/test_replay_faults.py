"""Images, calibration and poses that are wrong cost as little as can be, and are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gdfusion_ros.bags.grid_stream import ReplayListener
from gdfusion_ros.bags.messages import RosbagsFactory
from gdfusion_ros.bags.reader import RawMessage
from gdfusion_ros.bags.replay import ReplayResult
from gdfusion_ros.messages.factory import Message
from gdfusion_ros.perception.preprocess import normalize
from gdfusion_ros.perception.runners import torch as torch_runner
from gdfusion_ros.perception.types import Pixels, SemanticGrid
from gdfusion_ros.settings import TopicSettings

Replayed = tuple[ReplayResult, list[SemanticGrid], Path]
Run = Callable[..., Replayed]
Rewrite = Callable[[Path, Path, Callable[[RawMessage], Iterable[RawMessage]]], Path]
Edit = Callable[[RawMessage, Callable[[Message], Message]], RawMessage]
SameGrids = Callable[[list[SemanticGrid], list[SemanticGrid]], None]
Second = Callable[[str, Callable[[Message], Message]], Callable[[RawMessage], list[RawMessage]]]


def test_a_corrupt_jpeg_costs_one_set(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, edited: Edit, front_stamps: list[int]
) -> None:
    def damage(image: Message) -> Message:
        image.data = image.data[:200]
        return image

    def change(message: RawMessage) -> Iterator[RawMessage]:
        hit = message.topic == '/CAM_BACK/image/compressed' and front_stamps[1] <= message.stamp < front_stamps[2]
        yield edited(message, damage) if hit else message

    warnings: list[str] = []
    result, grids, _ = run(
        rewrite(scene_bag, tmp_path / 'bad', change), listener=ReplayListener(warning=warnings.append)
    )
    assert [grid.stamp for grid in grids] == [front_stamps[0], front_stamps[2]]
    assert [grid.frames_since_reset for grid in grids] == [1, 2]
    assert result.counts.frames_refused.total() == 1
    (line,) = warnings
    assert '/CAM_BACK/image/compressed at 1600000060.489400000' in line


@pytest.fixture
def second(edited: Edit, front_stamps: list[int]) -> Second:
    """``second(topic, edit)``: changes the messages of a topic that are of the second set."""
    return lambda topic, edit: (
        lambda message: [
            edited(message, edit)
            if message.topic == topic and front_stamps[1] <= message.stamp < front_stamps[2]
            else message
        ]
    )


def set_fields(**values: Any) -> Callable[[Message], Message]:
    def edit(message: Message) -> Message:
        for name, value in values.items():
            setattr(message, name, value)
        return message

    return edit


def coded(pixels: Pixels, kind: str) -> NDArray[np.uint8]:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return np.frombuffer(stream.getvalue(), np.uint8)


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        (
            {'data': coded(np.zeros((2, 1600), np.uint8), 'JPEG')},
            'the image has 1600 x 2 pixels, but its camera info says',
        ),
        (
            {'data': coded(np.zeros((5999, 3), np.uint8), 'JPEG')},
            'the image has 3 x 5999 pixels, but its camera info says',
        ),
        (
            {'data': coded(np.full((90, 160), 4095, np.uint16), 'PNG'), 'format': 'mono16; png compressed '},
            'of 12 bits at most',
        ),
        ({'data': np.arange(99, dtype=np.uint8), 'format': 'h264'}, "its format is 'h264'"),
        ({'format': '16UC1; png compressed '}, "encoding '16UC1' holds numbers"),
    ],
)
def test_an_image_that_cannot_be_used_costs_one_set(
    run: Run, scene_bag: Path, tmp_path: Path, fields: dict[str, Any], reason: str, rewrite: Rewrite, second: Second
) -> None:
    warnings: list[str] = []
    bag = rewrite(scene_bag, tmp_path / 'bad', second('/CAM_BACK/image/compressed', set_fields(**fields)))
    result, grids, _ = run(bag, listener=ReplayListener(warning=warnings.append))
    assert [grid.frames_since_reset for grid in grids] == [1, 2]
    assert result.counts.frames_refused == {'image': 1}
    [line] = warnings
    assert line.startswith('refused: /CAM_BACK/image/compressed at 1600000060.489400000: ')
    assert reason in line


@pytest.mark.parametrize('values', [{0: 1e-300}, {2: 1e39}, {4: 1e7}, {5: -1e5}, {3: 1.0}])
def test_an_implausible_camera_info_costs_nothing_but_itself(
    reference: Replayed,
    run: Run,
    scene_bag: Path,
    tmp_path: Path,
    values: dict[int, float],
    rewrite: Rewrite,
    assert_same_grids: SameGrids,
    second: Second,
) -> None:
    def spoil(info: Message) -> Message:
        k = info.k.copy()
        k[list(values)] = list(values.values())
        return set_fields(k=k, p=np.zeros(12))(info)

    warnings: list[str] = []
    bag = rewrite(scene_bag, tmp_path / 'bad', second('/CAM_BACK/camera_info', spoil))
    result, grids, _ = run(bag, listener=ReplayListener(warning=warnings.append))
    assert_same_grids(reference[1], grids)
    assert result.counts.refused == {'/CAM_BACK/camera_info': 1}
    [line] = warnings
    assert "the intrinsic matrix K is no camera's: " in line


def cropped(edited: Edit, *, roi: bool) -> Callable[[RawMessage], list[RawMessage]]:
    """The upper 20 of 90 rows are cut off, which CameraInfo says by its roi, or by a shifted matrix."""

    def info(message: Message) -> Message:
        if roi:
            message.roi.y_offset, message.roi.width, message.roi.height = 20, 160, 70
            return message
        k, p = message.k.copy(), message.p.copy()
        k[5], p[6] = k[5] - 20, p[6] - 20
        return set_fields(k=k, p=p, height=70)(message)

    def image(message: Message) -> Message:
        return set_fields(data=coded(np.asarray(Image.open(BytesIO(message.data)))[20:], 'PNG'))(message)

    def change(message: RawMessage) -> list[RawMessage]:
        edits = {'camera_info': info, 'compressed': image}
        part = message.topic.rpartition('/')[2]
        return [edited(message, edits[part]) if part in edits else message]

    return change


def test_a_region_of_interest_is_the_same_as_a_shifted_matrix(
    reference: Replayed,
    run: Run,
    scene_bag: Path,
    tmp_path: Path,
    rewrite: Rewrite,
    assert_same_grids: SameGrids,
    edited: Edit,
) -> None:
    shifted, region = (
        run(rewrite(scene_bag, tmp_path / f'roi-{roi}', cropped(edited, roi=roi)), f'out-{roi}')[1]
        for roi in (False, True)
    )
    assert_same_grids(shifted, region)
    assert not all(np.array_equal(one.labels, other.labels) for one, other in zip(reference[1], region, strict=True))


@pytest.mark.slow
def test_a_mosaic_in_a_png_gives_the_grids_of_the_raw_mosaic(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, edited: Edit, assert_same_grids: SameGrids
) -> None:
    pytest.importorskip('cv2')

    def mosaic(message: Message, *, raw: bool) -> Message:
        grey = np.ascontiguousarray(np.asarray(Image.open(BytesIO(message.data)))[..., 1])
        if not raw:
            return set_fields(data=coded(grey, 'PNG'), format='bayer_gbrg8; png compressed ')(message)
        return RosbagsFactory()(
            'sensor_msgs/msg/Image',
            header=message.header,
            height=90,
            width=160,
            step=160,
            encoding='bayer_gbrg8',
            data=grey.reshape(-1),
        )

    def change(raw: bool) -> Callable[[RawMessage], list[RawMessage]]:
        return lambda message: [
            edited(message, partial(mosaic, raw=raw))._replace(
                topic=message.topic.removesuffix('/compressed') if raw else message.topic
            )
            if message.topic.endswith('/compressed')
            else message
        ]

    grids = [
        run(
            rewrite(scene_bag, tmp_path / f'raw-{raw}', change(raw)),
            f'out-{raw}',
            topics=TopicSettings(image_transport='raw' if raw else 'compressed'),
        )[1]
        for raw in (False, True)
    ]
    assert_same_grids(*grids)


def test_a_pose_beyond_all_bounds_is_refused_and_costs_nothing_more(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, edited: Edit, front_stamps: list[int]
) -> None:
    def far(tf: Message) -> Message:
        tf.transforms[0].transform.translation.y = 1e306
        return tf

    back = front_stamps[1] + 25_100_000
    bag = rewrite(
        scene_bag,
        tmp_path / 'bad',
        lambda message: [edited(message, far) if message.topic == '/tf' and message.stamp == back else message],
    )
    result, grids, _ = run(bag)
    assert [grid.frames_since_reset for grid in grids] == [1, 2, 3], 'the poses before and after it place the set'
    assert result.counts.refused == {'/tf': 1}
    assert not result.counts.resets


def test_an_unexpected_error_costs_one_set(
    run: Run, scene_bag: Path, monkeypatch: pytest.MonkeyPatch, front_stamps: list[int]
) -> None:
    calls, warnings = count(), list[str]()

    def breaks_at_the_second(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise ZeroDivisionError('division by zero')
        return normalize(*arguments)

    monkeypatch.setattr(torch_runner, 'normalize', breaks_at_the_second)
    result, grids, _ = run(scene_bag, listener=ReplayListener(warning=warnings.append))
    assert [grid.stamp for grid in grids] == [front_stamps[0], front_stamps[2]]
    assert result.counts.frames_refused == result.counts.resets == {'error': 1}
    [line] = warnings
    assert 'unexpected ZeroDivisionError in test_replay_faults.py:' in line


def test_a_message_without_a_frame_is_refused_and_named_once(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, edited: Edit, front_stamps: list[int]
) -> None:
    def spoil(image: Message) -> Message:
        image.header.frame_id = ''
        return image

    def change(message: RawMessage) -> Iterator[RawMessage]:
        hit = message.topic == '/CAM_BACK/image/compressed' and message.stamp > front_stamps[1]
        yield edited(message, spoil) if hit else message

    warnings: list[str] = []
    result, grids, _ = run(
        rewrite(scene_bag, tmp_path / 'bad', change), listener=ReplayListener(warning=warnings.append)
    )
    assert [grid.stamp for grid in grids] == front_stamps[:1]
    assert result.counts.refused == {'/CAM_BACK/image/compressed': 2}
    assert len(warnings) == 1
    assert 'no frame_id' in warnings[0]


def test_one_bad_transform_does_not_cost_the_others(
    run: Run, scene_bag: Path, tmp_path: Path, rewrite: Rewrite, edited: Edit
) -> None:
    def add_bad(tf: Message) -> Message:
        bad = RosbagsFactory()('geometry_msgs/msg/TransformStamped', child_frame_id='elsewhere')
        bad.header.frame_id, bad.transform.rotation.w = 'base_link', float('nan')
        tf.transforms.insert(0, bad)
        return tf

    bag = rewrite(
        scene_bag, tmp_path / 'bad', lambda message: [edited(message, add_bad) if message.topic == '/tf' else message]
    )
    result, grids, _ = run(bag)
    assert len(grids) == 3
    assert result.counts.refused == {'/tf': 21}
