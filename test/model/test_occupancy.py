"""The whole network as a function: pure, cached by calibration, without a camera, with each set of cues."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model import kernels, occupancy
from gdfusion_ros.model.depth.net import CameraGate
from gdfusion_ros.model.interface import Frame
from gdfusion_ros.model.network import OccupancyNetwork, with_cues
from gdfusion_ros.model.probe import STAGES, Probe
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.state import RecurrentState
from gdfusion_ros.model.temporal.geometry import GeometryFusion
from gdfusion_ros.model.view.lift import Lift

Same = Callable[[object, object], bool]
Tensors = Callable[[object], list[Tensor]]

# Table 5 of the paper: B is the network without memory.
CUES = {'B': (), 'BG': ('geometry',), 'BS': ('scene',), 'BV': ('voxel',), 'BVS': ('voxel', 'scene'),
        'BVM': ('voxel', 'motion'), 'BVG': ('voxel', 'geometry'), 'BVMG': ('voxel', 'motion', 'geometry'),
        'BVSG': ('voxel', 'scene', 'geometry'), 'BVSM': ('voxel', 'scene', 'motion'),
        'Full': ('voxel', 'scene', 'motion', 'geometry')}


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def network(tiny: OccupancyNetwork) -> OccupancyNetwork:
    return prepare(tiny, torch.device('cpu'))


class Watch(Probe):
    """Keeps what a frame shows."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}

    def see(self, name: str, tensor: Tensor) -> None:
        self.seen[name] = tensor.clone()


def watched(network: OccupancyNetwork, frame: Frame, state: RecurrentState | None) -> dict[str, Tensor]:
    watch = Watch()
    network(frame, state, watch)
    return watch.seen


def run(network: OccupancyNetwork, frames: list[Frame]) -> list[tuple[Any, RecurrentState]]:
    steps, state = [], None
    for frame in frames:
        prediction, state = network(frame, state)
        steps.append((prediction, state))
    return steps


# ---- a pure function ----


def test_shapes_of_what_comes_out(network: OccupancyNetwork, drive: Any) -> None:
    prediction, state = network(drive.frame(0))
    assert prediction.labels.shape == prediction.confidence().shape == (20, 16, 4)
    assert prediction.logits.shape == (16, 20, 4, 19)
    assert prediction.labels.unique().numel() > 3
    assert state.stereo.features.shape == (2, 256, 16, 24)
    assert state.voxel is not None
    assert state.voxel.volume.shape == (16 * 20 * 4, 8)
    assert state.nbytes > 4 * (2 * 256 * 16 * 24 + 16 * 20 * 4 * (8 + 3))
    assert network.device == torch.device('cpu')


def test_a_kept_state_can_be_started_from_again(network: OccupancyNetwork, drive: Any, same: Same,
                                                tensors: Tensors) -> None:
    frames = drive.frames(3)
    steps = run(network, frames[:2])
    old = steps[1][1]
    given = [tensor.clone() for tensor in [*tensors(old), *tensors(frames[2])]]
    first = network(frames[2], old)
    assert all(torch.equal(a, b) for a, b in zip([*tensors(old), *tensors(frames[2])], given, strict=True))
    again = network(frames[2], old)
    assert same(again[0], first[0])
    assert same(again[1], first[1])
    for earlier, later in zip(run(network, frames), [*steps, first], strict=True):
        assert same(earlier[0], later[0])
        assert same(earlier[1], later[1])


def test_outputs_of_one_frame_survive_the_next(network: OccupancyNetwork, drive: Any, tensors: Tensors) -> None:
    prediction, state = network(drive.frame(0))
    kept = [tensor.clone() for tensor in [*tensors(prediction), *tensors(state)]]
    network(drive.frame(1), state)
    assert all(torch.equal(a, b) for a, b in zip([*tensors(prediction), *tensors(state)], kept, strict=True))


def test_a_state_goes_on_after_it_was_saved_and_loaded(network: OccupancyNetwork, drive: Any, same: Same,
                                                       tmp_path: Path) -> None:
    (_, _), (_, state) = run(network, drive.frames(2))
    state.save(tmp_path / 'state')
    loaded = RecurrentState.load(tmp_path / 'state').to('cpu')
    assert same(loaded, state)
    for kept, restored in zip(network(drive.frame(2), state), network(drive.frame(2), loaded), strict=True):
        assert same(kept, restored)


def test_a_start_forgets_what_was_before(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    frames = drive.frames(3)
    run(network, frames[:2])
    started = network(frames[2], None)
    assert same(started[0], copy.deepcopy(network)(frames[2])[0])
    assert not torch.equal(started[0].logits, run(network, frames)[2][0].logits)


def test_a_start_ignores_where_the_vehicle_was(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    frame = drive.frame(1)
    lost = dataclasses.replace(frame, previous_camera_from_camera=torch.full((2, 4, 4), torch.nan),
                               previous_ego_from_ego=torch.full((4, 4), torch.nan))
    assert same(network(lost)[0], network(frame)[0])


def test_facts_of_a_start(network: OccupancyNetwork, drive: Any) -> None:
    seen = watched(network, drive.frame(0), None)
    assert torch.equal(seen['voxel_out'], seen['pre_process'])
    assert not torch.equal(seen['voxel_state'], seen['pre_process'][0].flatten(1).t())
    assert torch.equal(seen['stereo_ref_feat'], seen['stereo_feat'])
    later = watched(network, drive.frame(1), network(drive.frame(0))[1])
    assert not torch.equal(later['voxel_out'], later['pre_process'])
    assert torch.equal(later['stereo_ref_feat'], seen['stereo_feat'])


def test_the_history_lies_in_the_augmentation_of_its_own_frame(network: OccupancyNetwork, drive: Any) -> None:
    flip = torch.diag(torch.tensor([1.0, -1, 1]))
    _, state = network(dataclasses.replace(drive.frame(0), bda=flip))
    assert state.voxel is not None
    assert torch.equal(state.voxel.bda, flip)
    mistaken = dataclasses.replace(state, voxel=dataclasses.replace(state.voxel, bda=torch.eye(3)))
    right, wrong = (network(drive.frame(1), history)[0] for history in (state, mistaken))
    assert not torch.equal(right.logits, wrong.logits)


def test_every_stage_is_entered_once_in_order(network: OccupancyNetwork, drive: Any) -> None:
    entered = []

    class Stages(Probe):
        def stage(self, name: str) -> Any:
            entered.append(name)
            return super().stage(name)

    network(drive.frame(0), None, Stages())
    assert tuple(entered) == STAGES


def test_compiled_and_plain_forms_give_the_same(tiny: OccupancyNetwork, drive: Any,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = run(tiny, drive.frames(3))
    with monkeypatch.context() as patch:
        patch.setattr(kernels, 'usable', lambda *_: False)
        plain = run(tiny, drive.frames(3))
    for (quick, _), (slow, _) in zip(compiled, plain, strict=True):
        torch.testing.assert_close(quick.logits, slow.logits, rtol=1e-3, atol=1e-3)
        assert (quick.labels == slow.labels).float().mean() > 0.999


def test_half_precision_is_for_learned_layers_alone(grounded: OccupancyNetwork, drive: Any,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    checked = set()

    def check(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def checking(*args: Any) -> Tensor:
            found: Tensor = function(*args)
            with torch.autocast('cpu', enabled=False):
                assert torch.equal(found, function(*args)), name
            checked.add(name)
            return found

        monkeypatch.setattr(owner, name, checking)

    geometric = ((occupancy, 'cost_volume'), (occupancy, 'ground_bins'), (occupancy, 'index_transform'),
                 (Lift, '_locate'), (GeometryFusion, 'history_grid'))
    for owner, name in geometric:
        check(owner, name)
    network = prepare(grounded, torch.device('cpu'))
    network.autocast = True
    run(network, drive.frames(2))
    assert checked == {name for _, name in geometric}


# ---- what depends on calibration alone ----


MATRICES = ('intrinsics', 'post_rotation', 'post_translation', 'ego_from_camera', 'bda', 'visible',
            'previous_camera_from_camera', 'previous_ego_from_ego')


def with_a_change(frame: Frame, name: str, seed: int) -> Frame:
    """One entry of one matrix by three percent; or a camera less."""
    value, generator = getattr(frame, name).clone(), torch.Generator().manual_seed(seed)
    used = value if name in {'bda', 'visible', 'post_translation'} else value[..., :3, :]
    places = used.abs().gt(1e-3).nonzero() if name != 'visible' else torch.arange(2)[:, None]
    place = tuple(places[int(torch.randint(len(places), (), generator=generator))])
    used[place] = False if name == 'visible' else used[place] * 1.03
    return dataclasses.replace(frame, **{name: value})


@pytest.mark.parametrize('name', MATRICES)
def test_a_changed_calibration_is_noticed(grounded: OccupancyNetwork, drive: Any, same: Same, name: str) -> None:
    network = prepare(grounded, torch.device('cpu'))
    fresh = copy.deepcopy(network)
    _, state = network(drive.frame(0))
    frame = dataclasses.replace(drive.frame(1), ego_from_camera=drive.frame(0).ego_from_camera)
    usual, _ = network(frame, state)
    changed = with_a_change(frame, name, seed=len(name))
    expected, actual = fresh(changed, state), network(changed, state)
    assert same(actual[0], expected[0])
    assert same(actual[1], expected[1])
    assert not torch.equal(actual[0].logits, usual.logits)


def test_an_unchanged_calibration_computes_nothing_again(grounded: OccupancyNetwork, drive: Any,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    network = prepare(grounded, torch.device('cpu'))
    calls: list[str] = []

    def spy(owner: Any, name: str) -> None:
        function = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: (calls.append(name), function(*args))[1])

    spy(occupancy, 'camera_points')
    spy(occupancy, 'ground_bins')
    spy(Lift, '_locate')
    spy(CameraGate, 'forward')
    pose = drive.frame(0).ego_from_camera
    run(network, [dataclasses.replace(frame, ego_from_camera=pose.clone()) for frame in drive.frames(3)])
    assert sorted(calls) == ['_locate', 'camera_points', 'forward', 'forward', 'ground_bins']


# ---- a camera that is masked out ----


def masked(frame: Frame, images: Tensor) -> Frame:
    """The second camera shows ``images`` and is not to be seen."""
    pixels = frame.images.clone()
    pixels[1] = images
    return dataclasses.replace(frame, images=pixels, visible=torch.tensor([True, False]))


def test_nothing_of_a_masked_camera_reaches_the_prediction(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    _, state = network(drive.frame(0))
    noise = torch.randn(3, 64, 96, generator=torch.Generator().manual_seed(9))
    dark, bright = (network(masked(drive.frame(1), images), state) for images in (torch.zeros(3, 64, 96), 5 * noise))
    assert same(dark[0], bright[0])
    for part in ('motion', 'voxel', 'scene'):
        assert same(getattr(dark[1], part), getattr(bright[1], part))
    assert not torch.equal(dark[0].logits, network(drive.frame(1), state)[0].logits)
    assert same(*(network(drive.frame(2), step[1])[0] for step in (dark, bright)))


def test_a_camera_that_comes_back_starts_afresh(network: OccupancyNetwork, drive: Any) -> None:
    _, state = network(drive.frame(0))
    _, state = network(masked(drive.frame(1), torch.zeros(3, 64, 96)), state)
    back, start = watched(network, drive.frame(2), state), watched(network, drive.frame(2), None)
    for name in ('stereo_ref_feat', 'cost_volume_softmax', 'geometry_fused_logits', 'geometry'):
        assert torch.equal(back[name][1], start[name][1]), name
        assert not torch.equal(back[name][0], start[name][0]), name


def test_without_any_camera_the_lifted_volume_is_empty(network: OccupancyNetwork, drive: Any) -> None:
    blind = dataclasses.replace(drive.frame(0), visible=torch.zeros(2, dtype=torch.bool))
    assert not watched(network, blind, None)['lifted'].any()


# ---- cues ----


def test_each_set_of_cues_remembers_its_own_and_sees_something_else(network: OccupancyNetwork, drive: Any) -> None:
    frames, results = drive.frames(2), {}
    for name, cues in CUES.items():
        network.config = with_cues(network.config, cues)
        (first, _), (second, state) = run(network, frames)
        for cue in CUES['Full']:
            assert (getattr(state, cue) is not None) == (cue in cues), (name, cue)
        assert not torch.equal(first.logits, second.logits)
        results[name] = second.logits
    names = list(results)
    for index, name in enumerate(names):
        for other in names[:index]:
            assert (results[name] - results[other]).abs().max() > 1e-3, (name, other)


@pytest.mark.parametrize(('name', 'memoryless'), [('B', True), ('BG', False), ('BS', False), ('BV', False)])
def test_without_cues_only_the_stereo_feature_is_remembered(network: OccupancyNetwork, drive: Any, name: str,
                                                            memoryless: bool) -> None:
    """With the last image hidden from the cost volume, a network without cues sees as at a start."""
    network.config = with_cues(network.config, CUES[name])
    _, state = network(drive.frame(0))
    still = dataclasses.replace(state, visible=torch.zeros(2, dtype=torch.bool))
    seen = dataclasses.replace(drive.frame(1), previous_camera_from_camera=torch.eye(4).repeat(2, 1, 1))
    alike = torch.equal(network(seen, still)[0].logits, network(seen)[0].logits)
    assert alike == (memoryless or name == 'BG')  # the memory of geometry belongs to a camera and is hidden with it


def test_every_set_of_cues_has_the_same_weights(tiny: OccupancyNetwork) -> None:
    with torch.device('meta'):
        bare = OccupancyNetwork(with_cues(tiny.config, ()))
    assert list(bare.state_dict()) == list(tiny.state_dict())


@pytest.mark.parametrize(('cues', 'message'), [
    (('motion',), "'motion' .* cannot be on without"), (('motion', 'scene', 'geometry'), 'cannot be on without'),
    (('voxel', 'smell'), "unknown cue 'smell'")])
def test_cues_that_cannot_work_are_refused(tiny: OccupancyNetwork, cues: tuple[str, ...], message: str) -> None:
    with pytest.raises(GdfusionError, match=message):
        with_cues(tiny.config, cues)


class Copies(TorchDispatchMode):
    """Refuses copies to the device 'meta' that would wait until such a device has caught up."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default and args[0].device.type == 'cpu' and 'device' in kwargs:
            assert kwargs.get('non_blocking'), f'a copy of {tuple(args[0].shape)}'
        return function(*args, **kwargs)


def test_nothing_waits_for_another_device_and_every_tensor_is_where_it_belongs(grounded: OccupancyNetwork,
                                                                               drive: Any) -> None:
    """The device 'meta' has shapes but no values: whatever read one back, or mixed devices, would fail."""
    network = prepare(grounded, torch.device('meta'))
    state: Any = None
    for index in range(4):
        frame = drive.frame(index)
        frame = dataclasses.replace(frame, images=frame.images.to('meta'),
                                    visible=torch.tensor([True, index != 2]))
        with Copies():  # type: ignore[no-untyped-call]
            prediction, state = network(frame, state)
        assert prediction.labels.device.type == prediction.confidence().device.type == 'meta'
    assert state.visible.device.type == state.voxel.bda.device.type == 'cpu'
    assert state.stereo.features.device.type == state.voxel.volume.device.type == 'meta'
