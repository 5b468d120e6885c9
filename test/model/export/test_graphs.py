"""Networks in graph form, and as graphs: every network of the zoo in small, against itself in torch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from gdfusion_ros.model.export.contract import geometry_path
from gdfusion_ros.model.export.graphs import (
    FIRST,
    GeometryGraph,
    NetworkGraph,
    frame_tensors,
    geometry_tensors,
    state_tensors,
)
from gdfusion_ros.model.export.words import words
from gdfusion_ros.model.export.write import export
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.graph_form import graph_form
from gdfusion_ros.model.interface import Frame, Prediction
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks import alocc, bevdetocc, fbocc, gsdocc, nano
from gdfusion_ros.model.networks.alocc_specs import Sizes
from gdfusion_ros.model.networks.memories import NOTHING, queue
from gdfusion_ros.model.runtime.exported import ExportedNetwork, trial_inputs
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.zoo import ZOO

WIDTHS, BLOCKS = (8, 10, 12, 16), (1, 1, 1, 1)
BEVDETOCC = bevdetocc.Sizes(
    WIDTHS,
    BLOCKS,
    image_channels=16,
    pyramid_channels=8,
    encoder_channels=(8, 12),
    encoder_blocks=(1, 1),
    classifier_channels=12,
)
NANO = nano.Sizes(
    backbone_widths=(16, 20, 24),
    backbone_blocks=(1, 1, 1),
    image_channels=16,
    pyramid_channels=8,
    encoder_channels=(8, 12),
    encoder_blocks=(1, 1),
    classifier_channels=12,
)
FBOCC = fbocc.Sizes(
    backbone_widths=WIDTHS,
    backbone_blocks=BLOCKS,
    image_channels=16,
    depth_channels=16,
    encoder_channels=(8, 12, 16),
    pyramid_channels=12,
    head_channels=12,
    classifier_channels=8,
)
GSDOCC = gsdocc.Sizes(
    backbone_widths=WIDTHS,
    backbone_blocks=BLOCKS,
    image_channels=16,
    past_views=2,
    view_channels=16,
    encoder_channels=(12, 16),
    encoder_blocks=(1, 1),
)

SMALL: dict[str, Callable[[NetworkSpec], OccupancyNetwork]] = {
    'gdfusion_nano': lambda spec: nano.nano(dataclasses.replace(spec, feature_stride=8), NANO),
    'bevdetocc_gf': partial(bevdetocc.bevdetocc, sizes=BEVDETOCC),
    'bevdetocc': partial(bevdetocc.bevdetocc, sizes=BEVDETOCC, memory=NOTHING),
    'bevdetocc_sf': partial(bevdetocc.bevdetocc, sizes=BEVDETOCC, memory=queue(2)),
    'fbocc_gf': lambda spec: fbocc.fbocc(dataclasses.replace(spec, refinement=2), FBOCC),
    'gsdocc': lambda spec: gsdocc.gsdocc(dataclasses.replace(spec, refinement=2, cues=()), GSDOCC),
}
"""Of each way to put a network together, the smallest, by the name of one of the zoo."""

ALOCC: dict[str, Callable[[NetworkSpec, Sizes], OccupancyNetwork]] = {
    'alocc_3d': partial(alocc.alocc_3d, memory=queue(2)),
    'alocc_3d_depth': lambda spec, sizes: alocc.alocc_3d(dataclasses.replace(spec, lidar_depth=True), sizes, queue(2)),
    'alocc_3d_gf': alocc.alocc_3d,
    'alocc_3d_gf_depth': lambda spec, sizes: alocc.alocc_3d(dataclasses.replace(spec, lidar_depth=True), sizes),
    'alocc_2d': lambda spec, sizes: alocc.alocc_2d(flat(spec), sizes, queue(2)),
    'alocc_2d_gf': lambda spec, sizes: alocc.alocc_2d(flat(spec), sizes),
    'alocc_mini': lambda spec, sizes: alocc.alocc_mini(flat(spec), sizes, queue(2)),
    'alocc_mini_gf': lambda spec, sizes: alocc.alocc_mini(flat(spec), sizes),
}
"""The same of the ALOcc family, whose sizes other tests share."""

KINDS = (*SMALL, *ALOCC)

ALIKE = {
    'bevdetocc_gf_small': 'bevdetocc_gf',
    'alocc_3d_gf_surroundocc': 'alocc_3d_gf',
    'alocc_3d_gf_waymo': 'alocc_3d_gf',
    'alocc_2d_gf_openoccupancy': 'alocc_2d_gf',
}
"""Networks of the zoo that differ from another in sizes alone."""

EXPORTED = ('alocc_3d_depth', 'fbocc_gf', 'gsdocc')
"""Those that have, together with the exported network of other tests, every operation; 'make check-exports' takes all.
"""

EVERY_EXPORT = 'EVERY_EXPORT' in os.environ

SMALLEST = NetworkSpec(
    name='smallest',
    image_size=(32, 32),
    depth=DepthBins(first=1.0, step=2.0, count=4),
    feature_stride=16,
    context_channels=8,
    grid=VoxelGrid(lower=(-4.0, -4.0, -1.0), voxel_size=(2.0, 2.0, 2.0), shape=(4, 4, 4)),
    cameras=2,
)
"""For onnx's reference evaluator, which samples grids place by place in Python."""


def flat(spec: NetworkSpec) -> NetworkSpec:
    (x, y, z), (dx, dy, dz) = spec.grid.shape, spec.grid.voxel_size
    grid = dataclasses.replace(spec.grid, voxel_size=(dx, dy, z * dz), shape=(x, y, 1))
    return dataclasses.replace(spec, grid=grid, heights=z)


@pytest.fixture(scope='session')
def ready(alocc_sizes: Sizes) -> Callable[[str, NetworkSpec], OccupancyNetwork]:
    """Makes a network of a kind, with random weights, ready to run."""

    def made(name: str, spec: NetworkSpec) -> OccupancyNetwork:
        network = ALOCC[name](spec, alocc_sizes) if name in ALOCC else SMALL[name](spec)
        initialise(network, 0)
        network.camera_statistics().get_buffer('running_var').fill_(300.0**2)
        return prepare(network, torch.device('cpu'))

    return made


@pytest.fixture(scope='session')
def small(
    ready: Callable[[str, NetworkSpec], OccupancyNetwork], tiny_spec: NetworkSpec
) -> Callable[[str], OccupancyNetwork]:
    """A small network of a kind."""
    return cache(lambda name: ready(name, tiny_spec))


@pytest.fixture
def frames(drive: Any) -> list[Frame]:
    """Three frames of a drive; with a LiDAR in the first one."""
    first, *others = drive.frames(3)
    depth = torch.zeros(2, *first.images.shape[2:])
    depth[:, ::3, ::5] = 4.0
    return [dataclasses.replace(first, lidar_depth=depth), *others]


RESTART = 2
"""The frame that a sequence starts anew with."""


def in_torch(network: OccupancyNetwork, frames: list[Frame]) -> list[tuple[Prediction, SequenceState]]:
    """What the prepared network sees, and remembers behind each frame."""
    runner, seen = SequenceRunner(network), []
    for index, frame in enumerate(frames):
        if index == RESTART:
            runner.state = None
        prediction = runner.predict(frame)
        assert runner.state is not None
        seen.append((prediction, runner.state))
    return seen


def inputs_of(network: OccupancyNetwork, frame: Frame) -> dict[str, Tensor]:
    """What belongs to the frame alone."""
    depth = torch.zeros(2, *frame.images.shape[2:]) if frame.lidar_depth is None else frame.lidar_depth
    return {'images': frame.images.contiguous(), **({'lidar_depth': depth} if network.spec.lidar_depth else {})}


def as_likely(scores: NDArray[Any], found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    """Where both classes are the same, or have the same sigmoid but for its last bits.

    Some networks choose among sigmoids, which are 1 for all large scores (alocc.md §8): rounding decides there.
    """
    sigmoids = 1 / (1 + np.exp(-scores.astype(np.float64)))
    one, other = (
        np.take_along_axis(sigmoids, labels[..., None].astype(np.int64), -1)[..., 0] for labels in (found, expected)
    )
    return np.asarray((found == expected) | (np.abs(one - other) <= 1e-6))


def require_same(network: OccupancyNetwork, frames: list[Frame], see: Callable[..., dict[str, NDArray[Any]]]) -> None:
    """``see(inputs, tensors of the geometry's frame, state)`` gives what torch gives, with its own memory."""
    state: dict[str, NDArray[Any]] | None = None
    last: SequenceState | None = None
    for index, (frame, (prediction, expected)) in enumerate(zip(frames, in_torch(network, frames), strict=True)):
        if index == RESTART:
            state = last = None
        previous = frame.previous(None if last is None else last.calibration)
        found = see(inputs_of(network, frame), frame_tensors(frame.calibration, previous), state)
        state = {name.removeprefix('next_'): tensor for name, tensor in found.items() if name.startswith('next_')}
        last = expected
        scores = prediction.logits.transpose(0, 1)
        assert np.abs(found['scores'] - scores.numpy()).max() <= 1e-4 * scores.std()
        assert as_likely(scores.numpy(), found['labels'], prediction.labels.numpy()).mean() >= 0.9999
        for name, tensor in state_tensors(expected).items():
            assert np.allclose(state[name], tensor.numpy(), atol=1e-4 * float(tensor.float().abs().max() + 1)), name


def test_every_network_of_the_zoo_is_here() -> None:
    assert set(KINDS) | set(ALIKE) >= set(ZOO), 'say how a small one is made'
    for name, other in ALIKE.items():
        one, same = ZOO[name].build, ZOO[other].build
        assert getattr(one, 'func', one) is getattr(same, 'func', same)


@pytest.mark.parametrize('name', KINDS)
@torch.inference_mode()
def test_graph_form_gives_what_torch_gives(
    small: Callable[[str], OccupancyNetwork], frames: list[Frame], name: str
) -> None:
    network = small(name)
    with graph_form():
        runner = SequenceRunner(network)
        geometry = geometry_tensors(runner.geometry(frames[0]))
        template = runner.geometry(frames[0])
        runner.predict(frames[0])
        assert runner.state is not None
        blank = {key: torch.zeros_like(tensor) for key, tensor in state_tensors(runner.state).items()}
        graph = NetworkGraph(network, template, runner.state, scores=True)
    wanted = GeometryGraph(network, geometry)

    def see(
        inputs: dict[str, Tensor], frame: dict[str, Tensor], state: dict[str, NDArray[Any]] | None
    ) -> dict[str, NDArray[Any]]:
        remembered = blank if state is None else {key: torch.from_numpy(value) for key, value in state.items()}
        with graph_form():
            found = graph({**inputs, FIRST: frame[FIRST], **wanted(frame), **remembered})
        return {key: tensor.numpy() for key, tensor in found.items()}

    require_same(network, frames, see)


@pytest.fixture(scope='session')
def exported(
    small: Callable[[str], OccupancyNetwork], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The small network of a kind, exported."""

    @cache
    def made(name: str) -> Path:
        path = tmp_path_factory.mktemp('exported') / f'{name}.onnx'
        export(small(name), '0' * 64, path, scores=True)
        return path

    return made


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS if EVERY_EXPORT else EXPORTED)
def test_the_graphs_give_what_torch_gives(
    small: Callable[[str], OccupancyNetwork], exported: Callable[[str], Path], frames: list[Frame], name: str
) -> None:
    network, path = small(name), exported(name)
    for file in (path, geometry_path(path)):
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {''}, 'standard operators alone'
        assert model.opset_import[0].version == 20
        assert not any(
            attribute.name == 'reduction' and attribute.s != b'none'
            for node in model.graph.node
            if node.op_type == 'ScatterND'
            for attribute in node.attribute
        ), "onnxruntime's threads lose each other's summands in it"
    graphs = ExportedNetwork(path)
    for graph in (graphs.contract.geometry, graphs.contract.network):
        for tensor in (*graph.inputs, *graph.outputs):
            assert tensor.about == words(tensor.name).about

    def see(
        inputs: dict[str, Tensor], frame: dict[str, Tensor], state: dict[str, NDArray[Any]] | None
    ) -> dict[str, NDArray[Any]]:
        arrays = {key: tensor.numpy() for key, tensor in {**inputs, **frame}.items()}
        geometry = graphs.geometry(arrays)
        with torch.inference_mode(), graph_form():
            expected = GeometryGraph(network, geometry)(frame)
        for key, tensor in expected.items():
            assert np.array_equal(tensor.numpy(), geometry[key]), f'{key}: equal bit for bit'
        for key, array in by_reference(geometry_path(path), arrays).items():
            assert np.array_equal(array, geometry[key]), f'{key}: equal bit for bit'
        return graphs({**arrays, **geometry, **(graphs.blank_state() if state is None else state)})

    with torch.inference_mode():
        require_same(network, frames, see)


def by_reference(path: Path, tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What onnx's reference evaluator makes of a graph's inputs."""
    evaluator = ReferenceEvaluator(str(path))
    found = evaluator.run(None, {name: tensors[name] for name in evaluator.input_names})
    return dict(zip(evaluator.output_names, found, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_EXPORT, reason="takes an export of each network: 'make check-exports'")
@pytest.mark.filterwarnings('ignore:The value of the smallest subnormal')  # none is kept, and numpy wonders
@pytest.mark.parametrize('name', KINDS)
def test_the_reference_evaluator_of_onnx_gives_what_onnxruntime_gives(
    ready: Callable[[str, NetworkSpec], OccupancyNetwork], name: str, tmp_path: Path
) -> None:
    path = tmp_path / 'smallest.onnx'
    export(ready(name, SMALLEST), '0' * 64, path, scores=True)
    graphs, noise = ExportedNetwork(path), np.random.default_rng(0)
    given, state = trial_inputs(graphs), graphs.blank_state()
    given['lidar_depth'][:, ::5, ::3] = 4.0
    for driven in (0.0, 1.3):
        given['first'] = np.array(driven == 0)
        given['images'] = noise.normal(size=given['images'].shape).astype(np.float32)
        given['previous_camera_from_camera'][:, 2, 3] = given['previous_ego_from_ego'][0, 3] = driven
        tensors = {**given, **graphs.geometry(given), **state}
        expected, found = graphs(tensors), by_reference(path, tensors)
        state = {key.removeprefix('next_'): tensor for key, tensor in expected.items() if key.startswith('next_')}
        assert as_likely(expected['scores'], found.pop('labels'), expected.pop('labels')).all()
        for key, tensor in expected.items():
            assert np.abs(found[key] - tensor.astype(float)).max() <= 1e-4 * (tensor.std() or 1), key
