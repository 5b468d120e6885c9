"""Recordings of the released code, a small network with well-behaved weights, and a car that drives it."""

from __future__ import annotations

import copy
import dataclasses
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.interface import Calibration, Frame, Prediction
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks import alocc, bevdetocc, fbocc, gsdocc, nano
from gdfusion_ros.model.networks.alocc_specs import Sizes
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.probe import BLIND, Probe
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.keys import SAME, renamed
from gdfusion_ros.model.zoo import ZOO

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
"""Whether Triton's interpreter runs the kernels. Triton asks the environment when it is imported, which is later."""

TINY = NetworkSpec(
    name='tiny',
    image_size=(64, 96),
    depth=DepthBins(first=1.0, step=0.75, count=12),
    feature_stride=16,
    context_channels=8,
    grid=VoxelGrid(lower=(-8.0, -6.0, -1.0), voxel_size=(0.8, 0.75, 1.0), shape=(20, 16, 4)),
    cameras=2,
)
SIZES = bevdetocc.Sizes(
    image_channels=16,
    pyramid_channels=8,
    encoder_channels=(8, 12, 16),
    encoder_blocks=(1, 1, 2),
    classifier_channels=12,
)
NANO_SIZES = nano.Sizes(
    backbone_widths=(16, 20, 24),
    backbone_blocks=(1, 2, 1),
    image_channels=16,
    pyramid_channels=8,
    encoder_channels=(8, 12, 16),
    encoder_blocks=(1, 1, 2),
    classifier_channels=12,
)
GSDOCC_SIZES = gsdocc.Sizes(
    backbone_widths=(8, 12, 16, 20),
    backbone_blocks=(1, 1, 1, 1),
    image_channels=16,
    past_views=3,
    view_channels=16,
    encoder_channels=(12, 16),
    encoder_blocks=(1, 2),
)
ALOCC_SIZES = Sizes(
    backbone_widths=(8, 10, 12, 16),
    backbone_blocks=(1, 1, 1, 1),
    image_channels=16,
    pyramid_channels=8,
    encoder_channels=(8, 12, 16),
    encoder_blocks=(1, 1, 2),
    voxel_channels=24,
    map_channels=20,
)
FBOCC_SIZES = fbocc.Sizes(
    backbone_widths=(8, 12, 16, 20),
    backbone_blocks=(1, 1, 1, 1),
    image_channels=16,
    depth_channels=16,
    encoder_channels=(8, 12, 16),
    pyramid_channels=12,
    head_channels=12,
    classifier_channels=8,
)


SMALL: dict[Callable[..., OccupancyNetwork], Any] = {
    bevdetocc.bevdetocc: SIZES,
    nano.nano: NANO_SIZES,
    gsdocc.gsdocc: GSDOCC_SIZES,
    fbocc.fbocc: FBOCC_SIZES,
    alocc.alocc_3d: ALOCC_SIZES,
    alocc.alocc_2d: ALOCC_SIZES,
    alocc.alocc_mini: ALOCC_SIZES,
}


def small_of_the_zoo(name: str) -> OccupancyNetwork:
    """The network of that name with few channels, two small images and a small grid; its weights are to be drawn."""
    entry = ZOO[name]
    partly = entry.build if isinstance(entry.build, partial) else partial(entry.build)
    given, sizes = partly.keywords, SMALL[partly.func]
    if 'sizes' in given:  # what is not a matter of size
        kept = {field: getattr(given['sizes'], field) for field in ('context_queries', 'outputs')}
        sizes = dataclasses.replace(sizes, **kept)
    (x, y, z), (dx, dy, dz), flat = TINY.grid.shape, TINY.grid.voxel_size, entry.spec.grid.shape[2] == 1
    grid = VoxelGrid(TINY.grid.lower, (dx, dy, z * dz if flat else dz), (x, y, 1 if flat else z))
    spec = dataclasses.replace(
        entry.spec,
        image_size=TINY.image_size,
        depth=TINY.depth,
        grid=grid,
        cameras=TINY.cameras,
        context_channels=TINY.context_channels,
        heights=4 if flat else 1,
    )
    return partly.func(spec, **{**given, 'sizes': sizes})


class Recording:
    """One file of recorded inputs, outputs and weights."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.values = {name: file[name] for name in file.files}

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.values[name].copy())

    def error(self, name: str, actual: Tensor) -> float:
        """Largest difference from the recorded value, relative to the recorded standard deviation."""
        expected = self[name]
        assert actual.shape == expected.shape
        return float((actual.detach() - expected).abs().max() / expected.std(correction=0))

    def load(self, module: nn.Module, table: Mapping[str, str] = SAME, recorded: str = '') -> None:
        """Weights for ``module`` by its table of published names; ``recorded`` stands before those in this file."""
        state = module.state_dict()
        for key in state:
            if not key.endswith('num_batches_tracked'):
                state[key] = self[f'w/{recorded}{renamed(key, table)}']
        module.load_state_dict(state)

    def frame(self, step: str = '') -> Frame:
        """The cameras of one step, of which the recording keeps no images."""
        rotation = self[f'sensor2keyego_rot{step}'][0]
        pose = torch.eye(4).repeat(len(rotation), 1, 1)
        pose[:, :3, :3], pose[:, :3, 3] = rotation, self[f'sensor2keyego_tran{step}'][0]
        calibration = Calibration(
            self[f'intrins{step}'][0],
            self[f'post_rots{step}'][0],
            self[f'post_trans{step}'][0],
            pose,
            self[f'bda{step}'][0],
            torch.ones(len(pose), dtype=torch.bool),
        )
        way = f'k2s_sensor{step}'
        chain = self[way][0] if way in self.values else torch.eye(4).expand_as(pose)
        return Frame(torch.empty(len(pose), 3, 0, 0), calibration, chain, torch.eye(4))


@pytest.fixture(scope='session')
def recording(recordings: Path) -> Callable[[str], Recording]:
    """Reads a file of recordings by its name."""
    return lambda name: Recording(recordings / f'{name}.npz')


@pytest.fixture
def interpreter() -> None:
    """Triton's kernels run in its interpreter; the test is skipped where they are compiled for a GPU, or not there."""
    pytest.importorskip('triton')
    if not INTERPRETED:
        pytest.skip('Triton compiles for the GPU here; see the tests that are marked gpu')


class NoWaiting(TorchDispatchMode):
    """Refuses copies to the device 'meta' that would wait until such a device has caught up."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default and args[0].device.type == 'cpu' and 'device' in kwargs:
            assert kwargs.get('non_blocking'), f'a copy of {tuple(args[0].shape)}'
        return function(*args, **kwargs)


@pytest.fixture
def run_without_waiting() -> Callable[[OccupancyNetwork, list[Frame]], SequenceRunner]:
    """Has a network see frames on the device 'meta' and gives its runner.

    That device has shapes but no values: whatever read one back, or mixed devices, would fail.
    """

    def run(network: OccupancyNetwork, frames: list[Frame]) -> SequenceRunner:
        runner = SequenceRunner(prepare(network, torch.device('meta')))
        for frame in frames:
            with torch.inference_mode(), NoWaiting():  # type: ignore[no-untyped-call]
                prediction = runner.predict(dataclasses.replace(frame, images=frame.images.to('meta')))
            assert prediction.labels.device.type == prediction.confidence().device.type == 'meta'
        return runner

    return run


@pytest.fixture(params=['plain', 'compiled'])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways to compute: in plain torch, and with the compiled kernels."""
    if request.param == 'plain':
        monkeypatch.setattr(compiled, 'usable', lambda *_: False)
    with torch.inference_mode():
        yield request.param


def fill(module: nn.Module, gains: Mapping[str, float]) -> None:
    """Weights that depend on their name and shape alone and keep activations in bounds, batch norms included.

    ``gains`` multiply the weights whose name they begin.
    """
    learned = dict(module.named_parameters())
    for name, value in module.state_dict().items():
        if not value.is_floating_point() or (name.startswith('view.lift.') and name not in learned):
            continue
        random = torch.randn(value.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        if name.endswith('running_var'):
            random = 0.5 + random.abs()
        elif value.dim() <= 1:
            scale = name.endswith('.weight')
            random = scale + 0.1 * random
        else:
            gain = next((gain for prefix, gain in gains.items() if name.startswith(prefix)), 1.0)
            random = gain * random / value[0].numel() ** 0.5
        value.copy_(random)


@pytest.fixture(scope='session')
def tiny_spec() -> NetworkSpec:
    """Of the tiny network."""
    return TINY


def _filled(network: OccupancyNetwork) -> OccupancyNetwork:
    network.eval().requires_grad_(False)
    fill(
        network,
        {
            'view.pre_process': 3.0,
            'depth.net.probability_head': 4.0,
            'depth.net.logits_head': 4.0,
            'memory.voxel.': 1.5,
            'decoder.encoder': 1.8,
            'decoder.neck': 1.8,
            'decoder.head': 3.0,
        },
    )
    # Camera vectors are far from normalised; this makes them of order one.
    norm = network.camera_statistics()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(300.0**2)
    return network


@pytest.fixture(scope='session')
def build_of_the_zoo() -> Callable[[str], OccupancyNetwork]:
    """Builds a small network of a name of the zoo; its weights are to be drawn."""
    return small_of_the_zoo


@pytest.fixture(scope='session')
def filled() -> Callable[[OccupancyNetwork], OccupancyNetwork]:
    """Fills a network with the weights of the tiny ones, as it is when it runs."""
    return _filled


@pytest.fixture(scope='session')
def build_sized() -> Callable[..., OccupancyNetwork]:
    """Builds a network of few channels by a family's function and a spec, filled: ``build_sized(function, spec)``.

    What is matched of its images has a channel that is nowhere exactly 0: whether it is may not be a matter of
    rounding.
    """

    def build(function: Callable[..., OccupancyNetwork], spec: NetworkSpec, **given: Any) -> OccupancyNetwork:
        network = _filled(function(spec, **{'sizes': SMALL[function], **given}))
        stage: Any = network.get_submodule('images.backbone.layer1')
        stage[-1].bn3.bias[-4] = 30.0
        return network

    return build


@pytest.fixture(scope='session')
def build_tiny() -> Callable[[NetworkSpec], OccupancyNetwork]:
    """Builds a tiny network of a spec; its weights are to be drawn."""
    return lambda spec: bevdetocc.bevdetocc(spec, SIZES)


@pytest.fixture(scope='session')
def build_nano() -> Callable[[NetworkSpec], OccupancyNetwork]:
    """The same of the sister for CPUs."""
    return lambda spec: nano.nano(dataclasses.replace(spec, feature_stride=8), NANO_SIZES)


@pytest.fixture(scope='session')
def _tiny() -> OccupancyNetwork:
    return _filled(bevdetocc.bevdetocc(TINY, SIZES))


@pytest.fixture
def tiny(_tiny: OccupancyNetwork) -> OccupancyNetwork:
    """A whole network, two cameras and 20 x 16 x 4 voxels; unfolded."""
    return copy.deepcopy(_tiny)


@pytest.fixture(scope='session')
def build_tiny_gsdocc() -> Callable[[], OccupancyNetwork]:
    """Builds a tiny GSD-Occ; its weights are to be drawn."""
    spec = dataclasses.replace(TINY, refinement=2, cues=())
    return lambda: gsdocc.gsdocc(spec, GSDOCC_SIZES)


@pytest.fixture(scope='session')
def _tiny_gsdocc(build_tiny_gsdocc: Callable[[], OccupancyNetwork]) -> OccupancyNetwork:
    return _filled(build_tiny_gsdocc())


@pytest.fixture
def tiny_gsdocc(_tiny_gsdocc: OccupancyNetwork) -> OccupancyNetwork:
    """A whole GSD-Occ for the same cameras and volume; unfolded, as it was trained."""
    return copy.deepcopy(_tiny_gsdocc)


@pytest.fixture(scope='session')
def _tiny_fbocc() -> OccupancyNetwork:
    return _filled(fbocc.fbocc(dataclasses.replace(TINY, refinement=2), FBOCC_SIZES))


@pytest.fixture
def tiny_fbocc(_tiny_fbocc: OccupancyNetwork) -> OccupancyNetwork:
    """A whole FB-Occ-GF for the same cameras and volume; unfolded."""
    return copy.deepcopy(_tiny_fbocc)


@pytest.fixture(scope='session')
def alocc_sizes() -> Sizes:
    """Of small networks of the ALOcc family."""
    return ALOCC_SIZES


@pytest.fixture(scope='session')
def _tiny_alocc() -> OccupancyNetwork:
    return _filled(alocc.alocc_3d(TINY, ALOCC_SIZES))


@pytest.fixture
def tiny_alocc(_tiny_alocc: OccupancyNetwork) -> OccupancyNetwork:
    """A whole ALOcc-3D-GF for the same cameras and volume; unfolded."""
    return copy.deepcopy(_tiny_alocc)


@pytest.fixture
def with_cues(tiny: OccupancyNetwork) -> Callable[[tuple[str, ...]], OccupancyNetwork]:
    """``tiny`` with other cues and the same weights."""

    def changed(cues: tuple[str, ...]) -> OccupancyNetwork:
        network = bevdetocc.bevdetocc(TINY.with_cues(cues), SIZES).eval().requires_grad_(False)
        network.load_state_dict(tiny.state_dict())
        return network

    return changed


@pytest.fixture
def grounded(build_nano: Callable[[NetworkSpec], OccupancyNetwork]) -> OccupancyNetwork:
    """A tiny network that is told where the ground lies."""
    return _filled(build_nano(TINY))


def _pose(yaw: float, x: float, y: float, z: float) -> NDArray[Any]:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1]])


class Drive:
    """A car on a bend, 1.1 m a frame, with a camera ahead and one at its left; like any car's, its frames differ."""

    # Camera right, down, forward in an ego frame of forward, left, up.
    LENS = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    MOUNTS = (_pose(0.02, 1.7, 0.0, 1.5) @ LENS, _pose(1.9, 1.0, 0.5, 1.6) @ LENS)

    @staticmethod
    def ego(time: float) -> NDArray[Any]:
        return _pose(0.1 * time, 600.3 + 1.1 * time, 1647.1 + 0.06 * time**2, 0.02 * time)

    def frame(self, index: int) -> Frame:
        """The camera set at a time; the second camera's stamp is 0.04 frames after the first one's."""

        def camera(time: int) -> NDArray[Any]:
            return np.stack([self.ego(time + 0.04 * i) @ mount for i, mount in enumerate(self.MOUNTS)])

        def tensor(matrix: NDArray[Any]) -> Tensor:
            return torch.from_numpy(matrix).float()

        intrinsics = torch.tensor(
            [[[1266.0, 0, 816], [0, 1257, 491], [0, 0, 1]], [[1250.0, 0, 792], [0, 1259, 470], [0, 0, 1]]]
        )
        images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(index))
        calibration = Calibration(
            intrinsics=intrinsics,
            post_rotation=torch.diag(torch.tensor([0.06, 0.06, 1.0])).repeat(2, 1, 1),
            post_translation=torch.tensor([[0.0, 10.0, 0.0]]).repeat(2, 1),
            volume_from_camera=tensor(np.linalg.inv(self.ego(index)) @ camera(index)),
            bda=torch.eye(3),
            visible=torch.ones(2, dtype=torch.bool),
        )
        return Frame(
            images=nn.functional.interpolate(images, size=TINY.image_size, mode='bicubic'),
            calibration=calibration,
            previous_camera_from_camera=tensor(np.linalg.inv(camera(index - 1)) @ camera(index)),
            previous_ego_from_ego=tensor(np.linalg.inv(self.ego(index - 1)) @ self.ego(index)),
        )

    def frames(self, count: int) -> list[Frame]:
        return [self.frame(index) for index in range(count)]


@pytest.fixture
def drive() -> Drive:
    """Frames for the tiny network."""
    return Drive()


def everything(part: object) -> Iterator[Tensor]:
    """Every tensor of a frame, a state or a prediction."""
    if isinstance(part, Tensor):
        yield part
    elif dataclasses.is_dataclass(part):
        for item in dataclasses.fields(part):
            yield from everything(getattr(part, item.name))
    elif isinstance(part, tuple):
        for value in part:
            yield from everything(value)


@pytest.fixture
def tensors() -> Callable[[object], list[Tensor]]:
    """Every tensor of a frame, a state or a prediction."""
    return lambda part: list(everything(part))


@pytest.fixture
def same() -> Callable[[object, object], bool]:
    """Whether two frames, states or predictions are equal bit for bit."""

    def equal(one: object, other: object) -> bool:
        pairs = zip(everything(one), everything(other), strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    return equal


@pytest.fixture
def recalibrated() -> Callable[..., Frame]:
    """A frame with other matrices of its calibration."""

    def changed(frame: Frame, **matrices: Tensor) -> Frame:
        return dataclasses.replace(frame, calibration=dataclasses.replace(frame.calibration, **matrices))

    return changed


@pytest.fixture
def look() -> Callable[..., tuple[Prediction, SequenceState]]:
    """Has a network see one frame: ``look(network, frame, state, probe)``."""

    def looked(
        network: OccupancyNetwork, frame: Frame, state: SequenceState | None = None, probe: Probe = BLIND
    ) -> tuple[Prediction, SequenceState]:
        return SequenceRunner(network, state).look(frame, probe)

    return looked
