"""How long a frame takes by stage, against the floor: the network's own convolutions and matrix products alone."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from gdfusion_ros.benchmark import alone
from gdfusion_ros.model.graph_form import graph_form
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.probe import STAGES, Probe
from gdfusion_ros.model.runtime.trial import trial_frames
from gdfusion_ros.model.sequence import SequenceRunner

FUSIONS = ('geometry', 'motion', 'voxel', 'scene')
GIGA = 1e9
PRODUCTS = (
    torch.ops.aten.conv2d,
    torch.ops.aten.conv3d,
    torch.ops.aten.conv_transpose2d,
    torch.ops.aten.conv_transpose3d,
    torch.ops.aten.linear,
    torch.ops.aten.addmm,
    torch.ops.aten.mm,
    torch.ops.aten.bmm,
    torch.ops.onednn.qconv_pointwise,
)


@dataclass(frozen=True)
class BenchmarkResult:
    """Medians over the measured frames.

    Attributes:
        model, device, precision: what ran where and how.
        frames: how many were measured.
        stages: seconds by stage.
        frame: seconds of a whole frame.
        gmac: multiply-adds of convolutions and matrix products by stage, in units of 1e9, counted while running. The
            compiled gathers and scatters (cost volume, lift, warp) are not products and count nothing.
        floor: seconds of those products alone, in the same process.
        peak_memory: bytes: of the process on a CPU, of torch's allocator on CUDA.
        state: bytes of the recurrent state.
    """

    model: str
    device: str
    precision: str
    frames: int
    stages: Mapping[str, float]
    frame: float
    gmac: Mapping[str, float]
    floor: float
    peak_memory: int
    state: int

    @property
    def fusion_share(self) -> float:
        """Share of the four temporal fusions in a frame."""
        return sum(self.stages.get(name, 0.0) for name in FUSIONS) / self.frame


def run(
    network: OccupancyNetwork,
    frames: int,
    tick: Callable[[], object] = lambda: None,
    *,
    precision: str = 'fp32',
    plain: bool = False,
) -> BenchmarkResult:
    """Measure ``frames`` frames of a sequence after two that warm up; ``tick`` is called after each.

    Args:
        network: prepared.
        frames: how many.
        tick: see above.
        precision: what the network was loaded with.
        plain: by torch's own operators alone, in graph form.
    """
    with torch.inference_mode(), graph_form() if plain else nullcontext():
        steps = trial_frames(network, frames + 3)
        runner = SequenceRunner.forgetful(network)
        for _ in range(2):
            runner.predict(next(steps))
        if network.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(network.device)
        clock = _StageClock(network.device)
        totals: list[float] = []

        def measure(count: int) -> None:
            for _ in range(count):
                frame = next(steps)  # making it is no part of what is measured
                with clock.timed(totals):
                    runner.predict(frame, clock)
                tick()

        # The floor is measured between two halves of the frames: a machine that gets slower or faster meanwhile
        # changes both alike.
        early = (frames + 1) // 2
        measure(early)
        assert runner.state is not None
        size, peak = runner.state.nbytes, peak_memory(network.device)
        counter = _Recorder()
        runner.predict(next(steps), counter)
        floor = sum(count * _alone(call, network.device) for call, count in counter.calls.items())
        measure(frames - early)
    return BenchmarkResult(
        network.title,
        device_name(network.device),
        f'{precision}, plain operators' if plain else precision,
        frames,
        {name: statistics.median(times) for name, times in clock.times.items()},
        statistics.median(totals),
        counter.gmac,
        floor,
        peak,
        size,
    )


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


class _StageClock(Probe):
    """Wall time of every stage; on CUDA it waits for the device at the borders."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def timed(self, times: list[float]) -> Iterator[None]:
        synchronize(self._device)
        start = time.perf_counter()
        yield
        synchronize(self._device)
        times.append(time.perf_counter() - start)

    def stage(self, name: str) -> AbstractContextManager[object]:
        return self.timed(self.times[name])


@dataclass(frozen=True)
class _Layout:
    """A tensor without its values."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def filled(self, device: torch.device) -> Tensor:
        tensor = torch.empty_strided(self.size, self.stride, dtype=self.dtype, device=device)
        return tensor.normal_() if self.dtype.is_floating_point else tensor.zero_()


def _layout(tensor: Tensor) -> _Layout | Tensor:
    """Weights that are packed for oneDNN have none that could be told, and stay."""
    return tensor if tensor.is_mkldnn else _Layout(tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _flops_in_8_bits(
    given: Sequence[int], _step: float, _zero: int, weight: Sequence[int], *_: object, out_shape: Sequence[int]
) -> int:
    return conv_flop_count(list(given), list(weight), list(out_shape))


@dataclass(frozen=True)
class _Call:
    """One product that the network runs."""

    operator: Any
    arguments: tuple[Any, ...]


@dataclass
class _Recorder(Probe):
    """Counts the multiply-adds of every stage and keeps the products' shapes."""

    gmac: dict[str, float] = field(default_factory=dict)
    calls: Counter[_Call] = field(default_factory=Counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        flops = FlopCounterMode(display=False, custom_mapping={torch.ops.onednn.qconv_pointwise: _flops_in_8_bits})
        with flops, _Calls(self.calls):
            yield
        self.gmac[name] = flops.get_total_flops() / 2 / GIGA


class _Calls(TorchDispatchMode):
    def __init__(self, calls: Counter[_Call]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls = calls

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket in PRODUCTS:
            shapes = tree_map_only(Tensor, _layout, args)
            self._calls[_Call(func, tuple(tuple(a) if isinstance(a, list) else a for a in shapes))] += 1
        return func(*args, **(kwargs or {}))


def _alone(call: _Call, device: torch.device, repeats: int = 5) -> float:
    """Median seconds of one product by itself."""
    arguments = [
        a.filled(device) if isinstance(a, _Layout) else list(a) if isinstance(a, tuple) else a for a in call.arguments
    ]
    call.operator(*arguments)
    times = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call.operator(*arguments)
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory(device: torch.device) -> int:
    """Bytes that were in use at once: by the process on a CPU, by torch's allocator on CUDA."""
    if device.type == 'cuda':
        return int(torch.cuda.max_memory_allocated(device))
    return alone.peak_memory()


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def in_order(stages: Mapping[str, float]) -> list[str]:
    """Names of the stages that ran, in the order of the network."""
    return [name for name in STAGES if name in stages]
