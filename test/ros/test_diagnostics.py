"""Silence, told by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.ros import diagnostics
from gdfusion_ros.ros.diagnostics import Diagnostics, NetworkFacts
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.settings import BevSettings, ModelSettings, NodeSettings, PipelineSettings, TopicSettings

CAMERAS = ('CAM_FRONT', 'CAM_BACK')


@dataclass
class Street:
    """What Diagnostics needs of a node, and both clocks [s]."""

    simulated: bool
    wall: float = 100.0
    ros: float = 5000.0
    sent: list[DiagnosticArray] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counters: Counters = field(default_factory=lambda: Counters(CAMERAS))

    @property
    def ros_time_is_active(self) -> bool:
        return self.simulated

    def now(self) -> Any:
        return SimpleNamespace(nanoseconds=int(self.ros * NANOSECONDS), to_msg=Time)

    def get_clock(self) -> Any:
        return self

    def get_name(self) -> str:
        return 'occ'

    def create_publisher(self, *_: object) -> Any:
        return SimpleNamespace(publish=self.sent.append)

    def create_timer(self, *_: object, **__: object) -> None:
        """The test calls."""

    def warning(self, _key: str, text: str) -> None:
        self.warnings.append(text)

    def status(self, name: str) -> DiagnosticStatus:
        return next(status for status in self.sent[-1].status if status.name == f'occ: {name}')


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``watch(simulated)``: a street, and what goes on there for some seconds at a pace, with images or without."""

    def start(*, simulated: bool, grid_timeout: float = 3600.0) -> tuple[Street, Any]:
        street: Any = Street(simulated)
        monkeypatch.setattr(diagnostics, 'time', SimpleNamespace(monotonic=lambda: street.wall))
        settings = Settings(
            ModelSettings(),
            PipelineSettings(cameras=CAMERAS),
            TopicSettings(),
            BevSettings(),
            NodeSettings(camera_timeout=1.5, grid_timeout=grid_timeout),
        )
        assembler: Any = SimpleNamespace(counters=street.counters, takes_clouds=False, queued=0)
        shown = Diagnostics(
            street, settings, NetworkFacts('echo', untrained=False, device=torch.device('cpu')), assembler, street
        )
        shown.activate(active=True)

        def run(seconds: int, *, pace: float, cameras: tuple[str, ...] = CAMERAS) -> None:
            """An image a second of ROS, and a look a second."""
            for _ in range(4 * seconds):
                street.wall += 0.25
                before, street.ros = street.ros, street.ros + 0.25 * pace
                if int(before) != int(street.ros):
                    for camera in cameras:
                        street.counters.image_received(camera, int(street.ros * NANOSECONDS), street.wall)
                if street.wall % 1.0 == 0:
                    shown._publish()

        return street, run

    return start


def levels(street: Street) -> list[bytes]:
    return [street.status(camera).level for camera in CAMERAS]


@pytest.mark.parametrize('pace', [0.1, 0.5, 1.0])
def test_a_slow_bag_is_not_silent(watch: Any, pace: float) -> None:
    street, run = watch(simulated=True)
    run(40, pace=pace)
    assert levels(street) == 2 * [DiagnosticStatus.OK]
    assert street.warnings == []


def test_without_simulated_time_slow_images_are_silence(watch: Any) -> None:
    street, run = watch(simulated=False)
    run(5, pace=0.3)
    assert street.warnings == ['no camera delivers images']


def test_one_silent_camera_of_a_slow_bag_is_named(watch: Any) -> None:
    street, run = watch(simulated=True)
    run(8, pace=0.5)
    run(8, pace=0.5, cameras=('CAM_FRONT',))
    assert levels(street) == [DiagnosticStatus.OK, DiagnosticStatus.ERROR]
    assert street.warnings[-1].startswith('CAM_BACK: silent for')


def test_a_bag_that_has_ended_is_said_once(watch: Any) -> None:
    street, run = watch(simulated=True)
    run(4, pace=1.0)
    run(10, pace=0.0)
    assert street.warnings == ['no camera delivers images: /clock stands still, the bag has ended or is paused']
    assert levels(street) == 2 * [DiagnosticStatus.ERROR]
    assert ', while /clock stands still, on /CAM_FRONT' in street.status('CAM_FRONT').message
    run(4, pace=1.0)
    assert levels(street) == 2 * [DiagnosticStatus.OK]
    run(4, pace=0.0)
    assert len(street.warnings) == 2, 'it is news again after images came'


def test_cameras_that_all_stop_are_said_once(watch: Any) -> None:
    street, run = watch(simulated=False)
    run(10, pace=1.0, cameras=())
    assert street.warnings == ['no camera delivers images']
    assert 'no image yet, for 10.0 s' in street.status('CAM_BACK').message


@pytest.mark.parametrize('simulated', [False, True])
def test_after_a_pause_grids_are_waited_for_anew(watch: Any, simulated: bool) -> None:
    street, run = watch(simulated=simulated, grid_timeout=5.0)
    run(4, pace=1.0)
    run(20, pace=0.0, cameras=())
    run(4, pace=1.0)
    assert street.status('grids').level == DiagnosticStatus.OK
    assert not any('no grid' in line for line in street.warnings)
    run(4, pace=1.0)
    assert street.status('grids').level == DiagnosticStatus.ERROR
    assert street.status('grids').message.startswith('no grid for ')
