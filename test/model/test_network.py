"""The whole network as a function: pure, fed with geometry, without a camera, with each set of cues."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.depth import fused, stereo
from gdfusion_ros.model.geometry import camera
from gdfusion_ros.model.geometry.cache import CalibrationCache
from gdfusion_ros.model.interface import Calibration, Frame
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.ops import compiled
from gdfusion_ros.model.ops.depth_warp import reference as depth_warp
from gdfusion_ros.model.probe import STAGES, Probe
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.sequence import SequenceRunner
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.state import SequenceState
from gdfusion_ros.model.view import lift

Same = Callable[[object, object], bool]
Tensors = Callable[[object], list[Tensor]]

# Table 5 of the paper: B is the network without memory.
CUES = {
    'B': (),
    'BG': ('geometry',),
    'BS': ('scene',),
    'BV': ('voxel',),
    'BVS': ('voxel', 'scene'),
    'BVM': ('voxel', 'motion'),
    'BVG': ('voxel', 'geometry'),
    'BVMG': ('voxel', 'motion', 'geometry'),
    'BVSG': ('voxel', 'scene', 'geometry'),
    'BVSM': ('voxel', 'scene', 'motion'),
    'Full': ('voxel', 'scene', 'motion', 'geometry'),
}


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

    def record(self, name: str, tensor: Tensor) -> None:
        self.seen[name] = tensor.clone()


def look(
    network: OccupancyNetwork, frame: Frame, state: SequenceState | None = None, probe: Probe | None = None
) -> tuple[Any, SequenceState]:
    return SequenceRunner(network, state).look(frame, probe or Probe())


def watched(network: OccupancyNetwork, frame: Frame, state: SequenceState | None) -> dict[str, Tensor]:
    watch = Watch()
    look(network, frame, state, watch)
    return watch.seen


def run(network: OccupancyNetwork, frames: list[Frame]) -> list[tuple[Any, SequenceState]]:
    runner, steps = SequenceRunner(network), []
    for frame in frames:
        prediction = runner.predict(frame)
        assert runner.state is not None
        steps.append((prediction, runner.state))
    return steps


Recalibrated = Callable[..., Frame]


# ---- a pure function ----


def test_shapes_of_what_comes_out(network: OccupancyNetwork, drive: Any) -> None:
    prediction, state = look(network, drive.frame(0))
    assert prediction.labels.shape == prediction.confidence().shape == (20, 16, 4)
    assert prediction.logits.shape == (16, 20, 4, 18)
    assert prediction.labels.unique().numel() > 2
    assert state.depth.features.codes.shape == (2, 256, 16, 24)
    assert state.memory is not None
    assert state.memory.voxel is not None
    assert state.memory.voxel.volume.shape == (16 * 20 * 4, 8)
    assert state.nbytes > 2 * (2 * 256 * 16 * 24) + 4 * (16 * 20 * 4 * (8 + 3))
    assert network.device == torch.device('cpu')


def test_a_kept_state_can_be_started_from_again(
    network: OccupancyNetwork, drive: Any, same: Same, tensors: Tensors
) -> None:
    frames = drive.frames(3)
    steps = run(network, frames[:2])
    old = steps[1][1]
    given = [tensor.clone() for tensor in [*tensors(old), *tensors(frames[2])]]
    first = look(network, frames[2], old)
    assert all(torch.equal(a, b) for a, b in zip([*tensors(old), *tensors(frames[2])], given, strict=True))
    again = look(network, frames[2], old)
    assert same(again[0], first[0])
    assert same(again[1], first[1])
    for earlier, later in zip(run(network, frames), [*steps, first], strict=True):
        assert same(earlier[0], later[0])
        assert same(earlier[1], later[1])


def test_freed_memory_is_kept_once_all_of_the_network_has_run(
    network: OccupancyNetwork, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr('gdfusion_ros.model.sequence.keep_freed_memory', lambda: calls.append(1))
    runner, kept = SequenceRunner(network), []
    for index in range(3):
        runner.predict(drive.frame(index))
        kept.append(len(calls))
    assert kept == [0, 1, 1]


def test_outputs_of_one_frame_survive_the_next(network: OccupancyNetwork, drive: Any, tensors: Tensors) -> None:
    prediction, state = look(network, drive.frame(0))
    kept = [tensor.clone() for tensor in [*tensors(prediction), *tensors(state)]]
    look(network, drive.frame(1), state)
    assert all(torch.equal(a, b) for a, b in zip([*tensors(prediction), *tensors(state)], kept, strict=True))


def test_a_state_goes_on_after_it_was_saved_and_loaded(
    network: OccupancyNetwork, drive: Any, same: Same, tmp_path: Path
) -> None:
    (_, _), (_, state) = run(network, drive.frames(2))
    state.save(tmp_path / 'state')
    loaded = SequenceState.load(tmp_path / 'state').to('cpu')
    assert same(loaded, state)
    for kept, restored in zip(look(network, drive.frame(2), state), look(network, drive.frame(2), loaded), strict=True):
        assert same(kept, restored)


def test_a_start_forgets_what_was_before(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    frames = drive.frames(3)
    run(network, frames[:2])
    started = look(network, frames[2], None)
    assert same(started[0], look(copy.deepcopy(network), frames[2])[0])
    assert not torch.equal(started[0].logits, run(network, frames)[2][0].logits)


def test_a_start_ignores_where_the_vehicle_was(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    frame = drive.frame(1)
    lost = dataclasses.replace(
        frame,
        previous_camera_from_camera=torch.full((2, 4, 4), torch.nan),
        previous_ego_from_ego=torch.full((4, 4), torch.nan),
    )
    assert same(look(network, lost)[0], look(network, frame)[0])


def test_facts_of_a_start(network: OccupancyNetwork, drive: Any) -> None:
    seen = watched(network, drive.frame(0), None)
    assert torch.equal(seen['voxel_out'], seen['pre_process'])
    assert not torch.equal(seen['voxel_state'], seen['pre_process'][0].flatten(1).t())
    assert torch.equal(seen['stereo_ref_feat'], seen['stereo_feat'])
    later = watched(network, drive.frame(1), look(network, drive.frame(0))[1])
    assert not torch.equal(later['voxel_out'], later['pre_process'])
    torch.testing.assert_close(later['stereo_ref_feat'], seen['stereo_feat'], rtol=0, atol=1e-4)


def test_the_history_lies_in_the_augmentation_of_its_own_frame(
    network: OccupancyNetwork, drive: Any, recalibrated: Recalibrated
) -> None:
    flip = torch.diag(torch.tensor([1.0, -1, 1]))
    _, state = look(network, recalibrated(drive.frame(0), bda=flip))
    assert torch.equal(state.calibration.bda, flip)
    mistaken = dataclasses.replace(state, calibration=dataclasses.replace(state.calibration, bda=torch.eye(3)))
    right, wrong = (look(network, drive.frame(1), history)[0] for history in (state, mistaken))
    assert not torch.equal(right.logits, wrong.logits)


def test_every_stage_is_entered_once_in_order(network: OccupancyNetwork, drive: Any) -> None:
    entered = []

    class Stages(Probe):
        def stage(self, name: str) -> Any:
            entered.append(name)
            return super().stage(name)

    look(network, drive.frame(0), None, Stages())
    of_others = {'backward projection', 'queue'}
    assert entered == [name for name in STAGES if name not in of_others]


@pytest.mark.slow
def test_compiled_and_plain_forms_give_the_same(
    tiny: OccupancyNetwork, drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = run(tiny, drive.frames(3))
    with monkeypatch.context() as patch:
        patch.setattr(compiled, 'usable', lambda *_: False)
        plain = run(tiny, drive.frames(3))
    for (quick, _), (slow, _) in zip(fast, plain, strict=True):
        torch.testing.assert_close(quick.logits, slow.logits, rtol=1e-3, atol=1e-3)
        assert (quick.labels == slow.labels).float().mean() > 0.999


def test_half_precision_is_for_learned_layers_alone(
    grounded: OccupancyNetwork, drive: Any, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = set()

    def check(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def checking(*args: Any) -> Any:
            found = function(*args)
            with torch.autocast('cpu', enabled=False):
                assert all(map(torch.equal, tensors(found), tensors(function(*args)))), name
            checked.add(name)
            return found

        monkeypatch.setattr(owner, name, checking)

    geometric = (
        (stereo, 'cost_volume'),
        (fused, 'ground_bins'),
        (grounded.memory, '_transform'),
        (lift, 'voxel_index'),
        (depth_warp, 'history_grid'),
    )
    for owner, name in geometric:
        check(owner, name)
    network = prepare(grounded, torch.device('cpu'))
    network.autocast = True
    run(network, drive.frames(2))
    assert checked == {name for _, name in geometric}


# ---- geometry, and what of it is kept ----


@pytest.fixture(params=['stereo', 'ground'])
def either(tiny: OccupancyNetwork, grounded: OccupancyNetwork, request: pytest.FixtureRequest) -> OccupancyNetwork:
    return tiny if request.param == 'stereo' else grounded


@pytest.mark.slow
def test_a_network_that_has_run_is_as_one_that_never_ran(either: OccupancyNetwork, drive: Any, same: Same) -> None:
    """The caller's cache is of the calibration alone: not of weights, nor of a copy, nor of where the network is."""
    runner = SequenceRunner(either)
    for frame in drive.frames(2):
        runner.predict(frame)
    other = copy.deepcopy(either)
    for weight in other.parameters():
        weight.mul_(0.9)
    either.load_state_dict(other.state_dict())
    copied = copy.deepcopy(either)
    moved = copy.deepcopy(either).to('meta').to_empty(device='cpu')
    moved.load_state_dict(other.state_dict())
    for name, constant in other.named_buffers():
        moved.get_buffer(name).copy_(constant)
    expected = run(other, drive.frames(3))
    for network in (either, copied, moved):
        runner.network, runner.state = network, None
        for frame, (prediction, state) in zip(drive.frames(3), expected, strict=True):
            assert same(runner.predict(frame), prediction)
            assert same(runner.state, state)


def test_geometry_depends_on_no_weight(either: OccupancyNetwork, drive: Any, same: Same) -> None:
    frame = drive.frame(1)
    previous = frame.previous(drive.frame(0).calibration)
    before = either.geometry(frame.calibration, previous)
    for weight in either.parameters():
        weight.zero_()
    assert same(either.geometry(frame.calibration, previous), before)


MATRICES = (
    *(field.name for field in dataclasses.fields(Calibration)),
    'previous_camera_from_camera',
    'previous_ego_from_ego',
)


def with_a_change(frame: Frame, name: str, seed: int) -> Frame:
    """One entry of one matrix by three percent; or a camera less."""
    owner: Any = frame if name.startswith('previous') else frame.calibration
    value, generator = getattr(owner, name).clone(), torch.Generator().manual_seed(seed)
    used = value if name in {'bda', 'visible', 'post_translation'} else value[..., :3, :]
    places = used.abs().gt(1e-3).nonzero() if name != 'visible' else torch.arange(2)[:, None]
    place = tuple(places[int(torch.randint(len(places), (), generator=generator))])
    used[place] = False if name == 'visible' else used[place] * 1.03
    changed = dataclasses.replace(owner, **{name: value})
    return changed if isinstance(changed, Frame) else dataclasses.replace(frame, calibration=changed)


@pytest.mark.parametrize('name', MATRICES)
def test_a_changed_calibration_is_noticed(
    grounded: OccupancyNetwork, drive: Any, recalibrated: Recalibrated, same: Same, name: str
) -> None:
    runner = SequenceRunner(prepare(grounded, torch.device('cpu')))
    runner.predict(drive.frame(0))
    frame = recalibrated(drive.frame(1), volume_from_camera=drive.frame(0).calibration.volume_from_camera)
    usual, _ = runner.look(frame)
    changed = with_a_change(frame, name, seed=len(name))
    expected, actual = look(runner.network, changed, runner.state), runner.look(changed)
    assert same(actual[0], expected[0])
    assert same(actual[1], expected[1])
    assert not torch.equal(actual[0].logits, usual.logits)


def test_an_unchanged_calibration_computes_nothing_again(
    grounded: OccupancyNetwork, drive: Any, recalibrated: Recalibrated, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def spy(owner: Any, name: str) -> None:
        function = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: (calls.append(name), function(*args))[1])

    spy(camera, 'camera_points')
    spy(fused, 'ground_bins')
    spy(lift, 'voxel_index')
    pose = drive.frame(0).calibration.volume_from_camera
    run(
        prepare(grounded, torch.device('cpu')),
        [recalibrated(frame, volume_from_camera=pose.clone()) for frame in drive.frames(3)],
    )
    assert sorted(calls) == ['camera_points', 'ground_bins', 'voxel_index']


def test_one_cache_serves_two_networks(
    tiny: OccupancyNetwork, grounded: OccupancyNetwork, drive: Any, same: Same
) -> None:
    cache, calibration = CalibrationCache(), drive.frame(0).calibration
    for network in (tiny, grounded, tiny):
        assert same(network.geometry(calibration, None, cache), network.geometry(calibration))


# ---- a camera that is masked out ----


def masked(frame: Frame, images: Tensor) -> Frame:
    """The second camera shows ``images`` and is not to be seen."""
    pixels = frame.images.clone()
    pixels[1] = images
    seen = dataclasses.replace(frame.calibration, visible=torch.tensor([True, False]))
    return dataclasses.replace(frame, images=pixels, calibration=seen)


def test_nothing_of_a_masked_camera_reaches_the_prediction(network: OccupancyNetwork, drive: Any, same: Same) -> None:
    _, state = look(network, drive.frame(0))
    noise = torch.randn(3, 64, 96, generator=torch.Generator().manual_seed(9))
    dark, bright = (
        look(network, masked(drive.frame(1), images), state) for images in (torch.zeros(3, 64, 96), 5 * noise)
    )
    assert same(dark[0], bright[0])
    assert same(dark[1].memory, bright[1].memory)
    assert not torch.equal(dark[0].logits, look(network, drive.frame(1), state)[0].logits)
    assert same(*(look(network, drive.frame(2), step[1])[0] for step in (dark, bright)))


def test_a_camera_that_comes_back_starts_afresh(network: OccupancyNetwork, drive: Any) -> None:
    _, state = look(network, drive.frame(0))
    _, state = look(network, masked(drive.frame(1), torch.zeros(3, 64, 96)), state)
    back, start = watched(network, drive.frame(2), state), watched(network, drive.frame(2), None)
    for name in ('cost_volume_softmax', 'geometry_fused_logits', 'geometry'):
        assert torch.equal(back[name][1], start[name][1]), name
        assert not torch.equal(back[name][0], start[name][0]), name


def test_without_any_camera_the_lifted_volume_is_empty(
    network: OccupancyNetwork, drive: Any, recalibrated: Recalibrated
) -> None:
    blind = recalibrated(drive.frame(0), visible=torch.zeros(2, dtype=torch.bool))
    assert not watched(network, blind, None)['lifted'].any()


@pytest.mark.parametrize('count', [1, 3])
def test_another_number_of_cameras_goes_through_the_same_weights(
    network: OccupancyNetwork, drive: Any, recalibrated: Recalibrated, count: int
) -> None:
    """Each camera is lifted by itself: one less is as one masked, and one twice adds up."""

    def chosen(frame: Frame, cameras: list[int]) -> Frame:
        calibration = Calibration(
            **{
                field.name: value if field.name == 'bda' else value[cameras]
                for field, value in (
                    (field, getattr(frame.calibration, field.name)) for field in dataclasses.fields(Calibration)
                )
            }
        )
        return Frame(
            frame.images[cameras], calibration, frame.previous_camera_from_camera[cameras], frame.previous_ego_from_ego
        )

    cameras = [0, 1, 1][:count]
    steps = run(network, [chosen(frame, cameras) for frame in drive.frames(2)])
    assert steps[1][0].labels.shape == (20, 16, 4)
    if count == 1:
        hidden = torch.tensor([True, False])
        masked_out = run(network, [recalibrated(frame, visible=hidden) for frame in drive.frames(2)])
        torch.testing.assert_close(steps[1][0].logits, masked_out[1][0].logits, rtol=1e-3, atol=1e-3)


# ---- cues ----


WithCues = Callable[[tuple[str, ...]], OccupancyNetwork]


@pytest.mark.slow
def test_each_set_of_cues_remembers_its_own_and_sees_something_else(with_cues: WithCues, drive: Any) -> None:
    frames, results = drive.frames(2), {}
    for name, cues in CUES.items():
        (first, _), (second, state) = run(with_cues(cues), frames)
        assert state.memory is not None
        remembered = {'geometry': state.depth.geometry, **vars(state.memory)}
        assert {cue for cue, part in remembered.items() if part is not None} == set(cues), name
        assert not torch.equal(first.logits, second.logits)
        results[name] = second.logits
    names = list(results)
    for index, name in enumerate(names):
        for other in names[:index]:
            assert (results[name] - results[other]).abs().max() > 1e-3, (name, other)


@pytest.mark.parametrize(('name', 'memoryless'), [('B', True), ('BG', True), ('BS', False), ('BV', False)])
def test_without_cues_only_the_stereo_feature_is_remembered(
    with_cues: WithCues, drive: Any, name: str, memoryless: bool
) -> None:
    """With the last image and the memory of geometry hidden, only the memory of the volume is left."""
    network = with_cues(CUES[name])
    _, state = look(network, drive.frame(0))
    hidden = dataclasses.replace(state.calibration, visible=torch.zeros(2, dtype=torch.bool))
    still = dataclasses.replace(state, calibration=hidden)
    seen = dataclasses.replace(drive.frame(1), previous_camera_from_camera=torch.eye(4).repeat(2, 1, 1))
    assert torch.equal(look(network, seen, still)[0].logits, look(network, seen)[0].logits) == memoryless


def test_every_set_of_cues_has_the_same_weights(tiny: OccupancyNetwork, with_cues: WithCues) -> None:
    assert list(with_cues(()).state_dict()) == list(tiny.state_dict())


@pytest.mark.parametrize(
    ('cues', 'message'),
    [
        (('motion',), "'motion' .* cannot be on without"),
        (('motion', 'scene', 'geometry'), 'cannot be on without'),
        (('voxel', 'smell'), "unknown cue 'smell'"),
    ],
)
def test_cues_that_cannot_work_are_refused(tiny_spec: NetworkSpec, cues: tuple[str, ...], message: str) -> None:
    with pytest.raises(GdfusionError, match=message):
        tiny_spec.with_cues(cues)


def test_nothing_waits_for_another_device_and_every_tensor_is_where_it_belongs(
    grounded: OccupancyNetwork,
    drive: Any,
    recalibrated: Recalibrated,
    run_without_waiting: Callable[..., SequenceRunner],
) -> None:
    runner = run_without_waiting(
        grounded, [recalibrated(drive.frame(index), visible=torch.tensor([True, index != 2])) for index in range(4)]
    )
    assert runner.state is not None
    assert runner.state.memory is not None
    assert runner.state.memory.voxel is not None
    assert runner.state.calibration.visible.device.type == 'cpu'
    assert runner.state.depth.features.codes.device.type == runner.state.memory.voxel.volume.device.type == 'meta'


@pytest.mark.parametrize('name', ['tiny', 'tiny_fbocc', 'tiny_gsdocc'])
def test_no_family_waits_for_another_device(
    name: str, request: pytest.FixtureRequest, drive: Any, run_without_waiting: Callable[..., SequenceRunner]
) -> None:
    run_without_waiting(request.getfixturevalue(name), drive.frames(3))
