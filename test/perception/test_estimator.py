"""From posed sets to grids: the network's matrices, the rules of reset, and what a refused set costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Prediction, Previous
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.zoo import load_network
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.estimator import OccupancyEstimator
from gdfusion_ros.perception.poses import inverse, pose_matrix, product
from gdfusion_ros.perception.preprocess import Preprocessor
from gdfusion_ros.perception.types import (
    CameraImage,
    CameraModel,
    CameraSet,
    GridPlace,
    InputImage,
    Matrix,
    Pixels,
    PosedCamera,
    PosedSet,
    nanoseconds,
)
from gdfusion_ros.settings import SURROUND_CAMERAS, ModelSettings, PipelineSettings

X, Y, Z = 5, 4, 3


class Memory(Tensor):
    """A state of one tensor."""

    calibration: Calibration

    @staticmethod
    def of(tensor: Tensor, calibration: Calibration) -> Memory:
        memory: Memory = tensor.as_subclass(Memory)
        memory.calibration = calibration
        return memory

    def is_finite(self) -> bool:
        return bool(self.isfinite().all())


class Seen(NamedTuple):
    """What went into the network."""

    images: Tensor
    calibration: Calibration
    previous: Previous | None


class EchoNetwork(nn.Module):
    """A network whose labels tell of everything that went in, the memory of earlier frames included."""

    title = 'echo (untrained)'
    device = torch.device('cpu')

    def __init__(self, cameras: int = 3, image_size: tuple[int, int] = (8, 16)) -> None:
        super().__init__()
        self.spec = NetworkSpec(
            name='echo',
            image_size=image_size,
            cameras=cameras,
            depth=DepthBins(1.0, 1.0, 4),
            feature_stride=8,
            context_channels=4,
            grid=VoxelGrid(lower=(-40.0, -30.0, -1.0), voxel_size=(0.5, 0.4, 0.3), shape=(X, Y, Z)),
        )
        self.seen: list[Seen] = []
        self.states: list[Tensor | None] = []
        self.failure: Exception | None = None
        self.factor = 1.0
        self.during: Callable[[], None] = lambda: None

    def geometry(
        self, calibration: Calibration, previous: Previous | None, cache: object
    ) -> tuple[Calibration, Previous | None]:
        return calibration, previous

    def forward(
        self,
        images: Tensor,
        geometry: tuple[Calibration, Previous | None],
        state: Tensor | None,
        lidar_depth: Tensor | None = None,
        probe: object = None,
        *,
        spends: bool = False,
    ) -> tuple[Prediction, Tensor]:
        self.during()
        if self.failure is not None:
            raise self.failure
        calibration, previous = geometry
        self.seen.append(Seen(images, calibration, previous))
        self.states.append(state)
        seen = torch.stack(
            [
                images.double().sum(),
                calibration.intrinsics.double().sum(),
                calibration.volume_from_camera.double().sum(),
                calibration.visible.sum().double(),
            ]
        )
        if state is not None:
            assert previous is not None
            seen = (
                seen
                + 0.5 * state
                + previous.camera_from_camera.double().sum() * 0.1
                + previous.ego_from_ego.double().sum()
            )
        bits = torch.frexp(seen).mantissa.abs()
        logits = torch.sin(bits.sum() * 1e4 + torch.arange(Y * X * Z * 19).view(Y, X, Z, 19)).float()
        labels = logits[..., 1:].argmax(-1).to(torch.uint8).transpose(0, 1)
        return Prediction(labels, logits[:, None, :, None, :, None]), Memory.of(seen * self.factor, calibration)


@pytest.fixture
def network() -> EchoNetwork:
    return EchoNetwork()


@pytest.fixture
def make_estimator(
    network: EchoNetwork, make_settings: Callable[..., PipelineSettings]
) -> Callable[..., OccupancyEstimator]:
    def make(*, protocol: Any = 'live', **values: Any) -> OccupancyEstimator:
        return OccupancyEstimator(network, make_settings(**values), protocol=protocol)

    return make


Make = Callable[..., OccupancyEstimator]
MakeAssembler = Callable[..., FrameAssembler]


def resets(estimator: OccupancyEstimator) -> dict[str, int]:
    return dict(estimator._counters.snapshot().resets)


def test_the_frame_is_what_the_spec_says(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    estimator = make_estimator()
    for posed in street.send(make_assembler(), street.run([9.5, 10.0, 10.5])):
        estimator.process(posed)
    frame = network.seen[2]
    assert frame.previous is not None
    assert frame.images.shape == (3, 3, 8, 16)
    np.testing.assert_array_equal(frame.calibration.intrinsics[0], street.model.intrinsics)
    np.testing.assert_array_equal(frame.calibration.post_rotation[1], np.diag([0.5, 0.5, 1.0]))
    np.testing.assert_array_equal(frame.calibration.post_translation[1], [0.0, -4.0, 0.0])
    np.testing.assert_array_equal(frame.calibration.bda, np.eye(3))
    assert frame.calibration.visible.tolist() == [True] * 3
    matrices = frame.calibration.volume_from_camera, frame.previous.ego_from_ego
    assert all(matrix.dtype == torch.float32 for matrix in matrices)
    offsets = {'left': -0.008, 'front': 0.0, 'back': 0.035}
    reference, before = pose_matrix(*street.pose(10.5)), pose_matrix(*street.pose(10.0))
    for index, mounting in enumerate(street.mountings()):
        camera = pose_matrix(mounting.translation, mounting.rotation)
        now = pose_matrix(*street.pose(10.5 + offsets[mounting.child])) @ camera
        then = pose_matrix(*street.pose(10.0 + offsets[mounting.child])) @ camera
        expected = np.linalg.inv(reference) @ now
        np.testing.assert_allclose(frame.calibration.volume_from_camera[index], expected, atol=2e-6)
        np.testing.assert_allclose(frame.previous.camera_from_camera[index], np.linalg.inv(then) @ now, atol=2e-6)
    np.testing.assert_allclose(frame.previous.ego_from_ego, np.linalg.inv(before) @ reference, atol=2e-6)


def test_the_grid_says_what_it_is(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    (posed,) = street.send(make_assembler(), street.run([10.0]))
    estimator = make_estimator(confidence=True)
    grid = estimator.process(posed)
    with torch.inference_mode():
        prediction, _ = network(network.seen[0].images, network.seen[0][1:], None)
    assert (grid.stamp, grid.frame_id) == (nanoseconds(10.0), 'base_link')
    assert (grid.origin, grid.voxel_size) == ((-40.0, -30.0, -1.0), (0.5, 0.4, 0.3))
    assert (grid.model, grid.label_set.name) == ('echo (untrained)', 'occ3d_nuscenes')
    assert (grid.frames_since_reset, grid.cameras, grid.stamp_spread) == (1, street.cameras, nanoseconds(0.043))
    assert grid.confidence is not None
    for array, expected in ((grid.labels, prediction.labels), (grid.confidence, prediction.confidence())):
        np.testing.assert_array_equal(array, expected)
        assert array.shape == (X, Y, Z)
        assert array.dtype == np.uint8
        assert array.flags.f_contiguous
    assert make_estimator().process(posed).confidence is None
    assert list(estimator.latency) == ['pixels', 'frame', 'network', 'grid']


def test_the_memory_goes_from_frame_to_frame(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    estimator = make_estimator()
    grids = [estimator.process(posed) for posed in street.send(make_assembler(), street.run([10.0, 10.5, 11.0]))]
    assert [grid.frames_since_reset for grid in grids] == [1, 2, 3]
    assert network.states[0] is None
    assert all(state is not None for state in network.states[1:])
    assert resets(estimator) == {}
    assert estimator._counters.snapshot().grids == 3


@pytest.mark.parametrize(
    ('values', 'second', 'reason'),
    [
        ({'max_frame_gap': 0.4}, 10.5, 'frame_gap'),
        ({'max_frame_gap': 0.6}, 10.5, ''),
        ({'max_ego_jump': 10.6}, 10.5, 'ego_jump'),
        ({'max_ego_jump': 10.8}, 10.5, ''),
    ],
)
def test_a_break_resets_the_memory(
    make_assembler: MakeAssembler,
    make_estimator: Make,
    network: EchoNetwork,
    street: Any,
    values: dict[str, float],
    second: float,
    reason: str,
) -> None:
    estimator = make_estimator(**values)
    grids = [estimator.process(posed) for posed in street.send(make_assembler(), street.run([10.0, second]))]
    assert [grid.frames_since_reset for grid in grids] == [1, 1 if reason else 2]
    assert (network.states[1] is None) is bool(reason)
    assert resets(estimator) == ({reason: 1} if reason else {})


def test_a_request_resets_the_memory_once(make_assembler: MakeAssembler, make_estimator: Make, street: Any) -> None:
    estimator = make_estimator()
    sets = street.send(make_assembler(), street.run([10.0, 10.5, 11.0]))
    first = estimator.process(sets[0])
    estimator.reset('service', 0)
    assert [first.frames_since_reset] + [estimator.process(posed).frames_since_reset for posed in sets[1:]] == [1, 1, 2]
    assert resets(estimator) == {'service': 1}


def test_a_request_during_a_frame_counts_for_the_next(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    estimator = make_estimator()
    sets = street.send(make_assembler(), street.run([10.0, 10.5]))
    network.during = lambda: estimator.reset('service', 0)
    estimator.process(sets[0])
    network.during = lambda: None
    assert estimator.process(sets[1]).frames_since_reset == 1


def test_a_set_of_the_past_does_not_use_a_request_up(
    make_assembler: MakeAssembler, make_estimator: Make, street: Any
) -> None:
    estimator, assembler = make_estimator(), make_assembler()
    old = street.send(assembler, street.run([10.0, 10.5]))
    estimator.process(old[0])
    assembler.clear()
    estimator.reset('service', assembler.generation)
    assert estimator.process(old[1]).frames_since_reset == 2, 'it was taken before'
    new = street.send(assembler, street.run([11.0, 11.5]))
    assert [estimator.process(posed).frames_since_reset for posed in new] == [1, 2]
    assert resets(estimator) == {'service': 1}


def test_both_runs_of_a_loop_give_the_same_grids(
    make_assembler: MakeAssembler, make_estimator: Make, street: Any
) -> None:
    runs = [street.run([10.0, 10.5], sent=float(run)) for run in range(3)]
    estimator = make_estimator()
    grids = [
        estimator.process(posed)
        for posed in street.send(make_assembler(), [message for run in runs for message in run])
    ]
    assert [grid.frames_since_reset for grid in grids] == [1, 2] * 3
    for grid, again in zip(grids[:4], grids[2:], strict=True):
        np.testing.assert_array_equal(grid.labels, again.labels)
    assert not np.array_equal(grids[0].labels, grids[1].labels)
    assert resets(estimator) == {'time_jump': 2}


def broken_jpeg() -> Pixels:
    try:
        return np.asarray(Image.open(BytesIO(b'\xff\xd8\xff\xe0 no picture')))
    except OSError as error:
        raise GdfusionError(f'/back/image/compressed at 10.535: {error}') from error


def test_an_image_that_cannot_be_decoded_costs_one_set(
    make_assembler: MakeAssembler, make_estimator: Make, street: Any
) -> None:
    messages = street.run([10.0, 10.5, 11.0])
    bad = [
        street.image_message('back', 10.535, 10.535, broken_jpeg)
        if message.topic == 'back' and message.time == 10.535
        else message
        for message in messages
    ]
    estimator, healthy = make_estimator(), make_estimator()
    sets = street.send(make_assembler(), bad)
    assert len(sets) == 3
    first = estimator.process(sets[0])
    with pytest.raises(GdfusionError, match='/back/image/compressed'):
        estimator.process(sets[1])
    third = estimator.process(sets[2])
    assert (first.frames_since_reset, third.frames_since_reset) == (1, 2)
    counts = estimator._counters.snapshot()
    assert (counts.frames_refused, counts.grids, counts.resets) == ({'image': 1}, 2, {})
    assert '/back/image/compressed' in counts.last_drop
    # The memory is as if that set had never been.
    others = [posed for posed in street.send(make_assembler(), messages) if posed.camera_set.stamp != nanoseconds(10.5)]
    expected = [healthy.process(posed) for posed in others]
    np.testing.assert_array_equal(first.labels, expected[0].labels)
    np.testing.assert_array_equal(third.labels, expected[1].labels)


def test_an_image_of_another_size_than_its_camera_info_is_refused(
    make_assembler: MakeAssembler, make_estimator: Make, street: Any
) -> None:
    def half() -> Pixels:
        return np.zeros((12, 16, 3), np.uint8)

    messages = [
        street.image_message('left', 9.992, message.time, half) if message.topic == 'left' else message
        for message in street.run([10.0])
    ]
    estimator = make_estimator()
    with pytest.raises(GdfusionError, match=r'left at 9\.992000000: the image has 16 x 12 .* says 32 x 24'):
        estimator.process(street.send(make_assembler(), messages)[0])
    assert estimator._counters.snapshot().frames_refused == {'image': 1}


def test_a_frame_that_does_not_fit_the_gpu_leaves_the_memory(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    sets = street.send(make_assembler(), street.run([10.0, 10.5, 11.0]))
    estimator = make_estimator()
    estimator.process(sets[0])
    network.failure = torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.')
    with pytest.raises(GdfusionError, match='out of memory'):
        estimator.process(sets[1])
    network.failure = None
    assert estimator.process(sets[2]).frames_since_reset == 2
    assert estimator._counters.snapshot().frames_refused == {'gpu_memory': 1}


def test_a_memory_that_is_not_finite_is_refused_and_forgotten(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    estimator = make_estimator()
    sets = street.send(make_assembler(), street.run([10.0, 10.5, 11.0, 11.5]))
    first = estimator.process(sets[0])
    network.factor = float('nan')
    with pytest.raises(GdfusionError, match=r'^set at 10\.500000000: the memory would no longer be finite'):
        estimator.process(sets[1])
    network.factor = 1.0
    later = [estimator.process(posed) for posed in sets[2:]]
    assert [grid.frames_since_reset for grid in (first, *later)] == [1, 1, 2]
    assert estimator._counters.snapshot().frames_refused == {'not_finite': 1}
    assert resets(estimator) == {'not_finite': 1}


def test_after_an_unexpected_error_the_memory_is_in_doubt(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    estimator = make_estimator()
    sets = street.send(make_assembler(), street.run([10.0, 10.5, 11.0]))
    estimator.process(sets[0])
    network.failure = ZeroDivisionError('division by zero')
    with pytest.raises(ZeroDivisionError):
        estimator.process(sets[1])
    network.failure = None
    assert estimator.process(sets[2]).frames_since_reset == 1
    assert resets(estimator) == {'error': 1}


def test_a_masked_camera_is_black_and_not_visible(
    make_assembler: MakeAssembler, make_estimator: Make, network: EchoNetwork, street: Any
) -> None:
    assembler = make_assembler(missing_camera='mask')
    street.send(assembler, [message for message in street.run([10.0]) if message.topic != 'back'])
    assembler.flush()
    grid = make_estimator(missing_camera='mask').process(street.taken(assembler)[0])
    frame = network.seen[0]
    assert frame.calibration.visible.tolist() == [True, True, False]
    np.testing.assert_allclose(
        frame.images[2, :, 0, 0], [-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375], rtol=1e-6
    )
    assert torch.isfinite(torch.linalg.inv(frame.calibration.volume_from_camera)).all()
    assert grid.cameras == ('left', 'front')
    assert grid.stamp_spread == nanoseconds(0.008)


@pytest.mark.parametrize('count', [1, 2])
def test_a_network_that_takes_any_cameras_takes_fewer(
    make_settings: Callable[..., PipelineSettings], count: int
) -> None:
    network = EchoNetwork(cameras=6)
    settings = make_settings(cameras=('left', 'front')[:count], reference_camera='left')
    estimator = OccupancyEstimator(network, settings)
    assert estimator._counters.snapshot().cameras.keys() == set(settings.cameras)


def test_a_network_for_another_rig_is_refused(make_settings: Callable[..., PipelineSettings]) -> None:
    network = EchoNetwork(cameras=6)
    network.spec = replace(network.spec, any_cameras=False)
    with pytest.raises(GdfusionError, match=r'needs 6 cameras, but .* names 3: left, front, back'):
        OccupancyEstimator(network, make_settings())


def black_set(stamp: int, places: Sequence[PosedCamera], reference: Matrix, history: Matrix) -> PosedSet:
    """A set of black nuScenes images with given poses."""

    class Black:
        def start(self) -> None:
            """It is there."""

        cancel = start

        def result(self) -> InputImage:
            return InputImage(np.zeros((256, 704, 3), np.uint8), (1600, 900))

    images = {camera: CameraImage(camera, 0, stamp, camera, Black()) for camera in SURROUND_CAMERAS}
    return PosedSet(
        CameraSet(stamp, 0, images),
        dict(zip(SURROUND_CAMERAS, places, strict=True)),
        GridPlace('base_link', stamp, reference),
        history,
        0.0,
        0.0,
    )


def recorded_pose(recorded: Any, name: str) -> Matrix:
    w, x, y, z = recorded[f'{name}_rotation']
    return pose_matrix(tuple(recorded[f'{name}_translation']), (x, y, z, w))


@pytest.mark.parametrize('protocol', ['live', 'released'])
def test_matrices_equal_the_recorded_ones(recordings: Path, protocol: Any) -> None:
    recorded = np.load(recordings / 'camera_pipeline.npz')
    network = EchoNetwork(cameras=6, image_size=(256, 704))
    estimator = OccupancyEstimator(network, PipelineSettings(), protocol=protocol)
    for stamp, frame in enumerate(('prev', 'cur')):
        places = [
            PosedCamera(
                CameraModel(1600, 900, recorded[f'{frame}/{camera}/cam_intrinsic']),
                recorded_pose(recorded, f'{frame}/{camera}/sensor2ego'),
                recorded_pose(recorded, f'{frame}/{camera}/ego2global'),
            )
            for camera in SURROUND_CAMERAS
        ]
        estimator.process(
            black_set(
                stamp,
                places,
                recorded_pose(recorded, f'{frame}/CAM_FRONT/ego2global'),
                recorded_pose(recorded, f'{frame}/ego2global'),
            )
        )
    made = network.seen[1]
    assert made.previous is not None

    def exact(name: str) -> NDArray[np.float64]:
        return np.asarray(recorded[f'occ3d/{name}'], np.float64)

    # The recorded ones were composed in float32 at 1650 m from the origin.
    np.testing.assert_allclose(made.calibration.volume_from_camera[:, :3, :3], exact('rots'), atol=1e-6)
    np.testing.assert_allclose(made.calibration.volume_from_camera[:, :3, 3], exact('trans'), atol=2e-4)
    np.testing.assert_array_equal(made.calibration.intrinsics, exact('intrins'))
    np.testing.assert_allclose(made.calibration.post_rotation, exact('post_rots'), rtol=1e-7)
    np.testing.assert_array_equal(made.calibration.post_translation, exact('post_trans'))
    chain = np.linalg.inv(exact('adj_ego2global') @ exact('adj_sensor2ego')) @ exact('ego2global') @ exact('sensor2ego')
    error = np.abs(made.previous.camera_from_camera.numpy() - chain).max()
    assert error < (2e-6 if protocol == 'released' else 3e-4)
    assert (error > 2e-6) == (protocol == 'live'), 'the rounding of the released protocol shows'
    lidar = np.linalg.inv(recorded_pose(recorded, 'prev/ego2global')) @ recorded_pose(recorded, 'cur/ego2global')
    np.testing.assert_allclose(made.previous.ego_from_ego, lidar, atol=1e-6)


def test_the_released_protocol_rounds_the_cameras_poses(
    make_estimator: Make, network: EchoNetwork, make_assembler: MakeAssembler, street: Any
) -> None:
    sets = street.send(make_assembler(), street.run([10.0, 10.5]))
    for protocol in ('live', 'released'):
        estimator = make_estimator(protocol=protocol)
        for posed in sets:
            estimator.process(posed)

    def poses(kind: type[np.floating[Any]]) -> list[list[NDArray[Any]]]:
        return [
            [
                product(*(pose.astype(kind).astype(float) for pose in (place.fixed_from_ego, place.ego_from_camera)))
                for place in posed.cameras.values()
            ]
            for posed in sets
        ]

    ways = []
    for seen, (before, now) in ((network.seen[1], poses(np.float64)), (network.seen[3], poses(np.float32))):
        expected = [product(inverse(old), new) for old, new in zip(before, now, strict=True)]
        assert seen.previous is not None
        np.testing.assert_array_equal(seen.previous.camera_from_camera, np.array(expected, np.float32))
        ways.append(seen.previous.ego_from_ego)
    np.testing.assert_array_equal(ways[0], ways[1])


def test_it_runs_the_real_network() -> None:
    network = load_network(ModelSettings(model='bevdetocc_gf_small', untrained=True, device='cpu'))
    settings = PipelineSettings()
    preprocessor = Preprocessor(network.spec.image_size)
    full = np.random.default_rng(0).integers(0, 256, (900, 1600, 3), dtype=np.uint8)
    model = CameraModel(1600, 900, np.array([[1266.0, 0.0, 816.0], [0.0, 1266.0, 491.0], [0.0, 0.0, 1.0]]))
    mounting = pose_matrix((1.7, 0.0, 1.5), (-0.5, 0.5, -0.5, 0.5))
    estimator = OccupancyEstimator(network, settings)
    grids = []
    for index in range(2):
        pose = pose_matrix((3.0 * index, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        images = {
            camera: CameraImage(camera, 0, nanoseconds(0.5 * index), camera, preprocessor.image(lambda: full))
            for camera in settings.cameras
        }
        places = {camera: PosedCamera(model, mounting, pose) for camera in settings.cameras}
        made = CameraSet(nanoseconds(0.5 * index), 0, images)
        grid = GridPlace('base_link', made.stamp, pose)
        grids.append(estimator.process(PosedSet(made, places, grid, pose, 0.0, 0.0)))
    preprocessor.close()
    assert [grid.frames_since_reset for grid in grids] == [1, 2]
    assert [grid.labels.shape for grid in grids] == [(100, 100, 8)] * 2
    assert grids[0].model == 'bevdetocc_gf_small (untrained)'
    assert not np.array_equal(grids[0].labels, grids[1].labels)
