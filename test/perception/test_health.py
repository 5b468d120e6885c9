"""Silence, told by clocks that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.health import ERROR, OK, WARN, Expected, Health, Moment, Status
from gdfusion_ros.perception.types import NANOSECONDS
from gdfusion_ros.settings import NodeSettings, PipelineSettings, TopicSettings

CAMERAS = ('CAM_FRONT', 'CAM_BACK')


@dataclass
class Street:
    """What goes on for some seconds, with images or without, and what is said of it; both clocks [s]."""

    simulated: bool
    grid_timeout: float = 3600.0
    wall: float = 100.0
    stamp: float = 5000.0
    counters: Counters = field(default_factory=lambda: Counters(CAMERAS))
    warnings: list[str] = field(default_factory=list)
    statuses: dict[str, Status] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = Expected.by(
            PipelineSettings(cameras=CAMERAS),
            TopicSettings(),
            NodeSettings(camera_timeout=1.5, grid_timeout=self.grid_timeout),
            lidar=False,
        )
        self.health = Health(expected, self.counters.snapshot(), self.wall)
        self.health.activate(self.counters.snapshot(), self.wall, active=True)

    def run(self, seconds: int, *, pace: float, cameras: tuple[str, ...] = CAMERAS) -> None:
        """An image a second of stamps, and a look a second."""
        for _ in range(4 * seconds):
            self.wall += 0.25
            before, self.stamp = self.stamp, self.stamp + 0.25 * pace
            if int(before) != int(self.stamp):
                for camera in cameras:
                    self.counters.image_received(camera, int(self.stamp * NANOSECONDS), self.wall)
            if self.wall % 1.0 == 0:
                self.look(pace)

    def look(self, pace: float = 1.0) -> None:
        now = Moment(self.wall, int(self.stamp * NANOSECONDS), pace if self.simulated else 1.0)
        statuses, warnings = self.health.look(self.counters.snapshot(), now, queued=0)
        self.statuses = {status.name: status for status in statuses}
        self.warnings += [warned.text for warned in warnings]

    def levels(self) -> list[int]:
        return [self.statuses[camera].level for camera in CAMERAS]


@pytest.mark.parametrize('pace', [0.1, 0.5, 1.0])
def test_a_slow_bag_is_not_silent(pace: float) -> None:
    street = Street(simulated=True)
    street.run(40, pace=pace)
    assert street.levels() == 2 * [OK]
    assert street.warnings == []


def test_without_simulated_time_slow_images_are_silence() -> None:
    street = Street(simulated=False)
    street.run(5, pace=0.3)
    assert street.warnings == ['no camera delivers images']


def test_one_silent_camera_of_a_slow_bag_is_named() -> None:
    street = Street(simulated=True)
    street.run(8, pace=0.5)
    street.run(8, pace=0.5, cameras=('CAM_FRONT',))
    assert street.levels() == [OK, ERROR]
    assert street.warnings[-1].startswith('CAM_BACK: silent for')


def test_a_bag_that_has_ended_is_said_once() -> None:
    street = Street(simulated=True)
    street.run(4, pace=1.0)
    street.run(10, pace=0.0)
    assert street.warnings == ['no camera delivers images: /clock stands still, the bag has ended or is paused']
    assert street.levels() == 2 * [ERROR]
    assert ', while /clock stands still, on /CAM_FRONT' in street.statuses['CAM_FRONT'].message
    street.run(4, pace=1.0)
    assert street.levels() == 2 * [OK]
    street.run(4, pace=0.0)
    assert len(street.warnings) == 2, 'it is news again after images came'


def test_cameras_that_all_stop_are_said_once() -> None:
    street = Street(simulated=False)
    street.run(10, pace=1.0, cameras=())
    assert street.warnings == ['no camera delivers images']
    assert 'no image yet, for 10.0 s' in street.statuses['CAM_BACK'].message


@pytest.mark.parametrize('simulated', [False, True])
def test_after_a_pause_grids_are_waited_for_anew(simulated: bool) -> None:
    street = Street(simulated=simulated, grid_timeout=5.0)
    street.run(4, pace=1.0)
    street.run(20, pace=0.0, cameras=())
    street.run(4, pace=1.0)
    assert street.statuses['grids'].level == OK
    assert not any('no grid' in line for line in street.warnings)
    street.run(4, pace=1.0)
    assert street.statuses['grids'].level == ERROR
    assert street.statuses['grids'].message.startswith('no grid for ')


def test_a_stamp_that_stands_still_is_no_image() -> None:
    street = Street(simulated=False)
    for _ in range(4):
        street.wall += 1.0
        for camera in CAMERAS:
            street.counters.image_received(camera, 5000 * NANOSECONDS, street.wall)
        street.look()
    assert street.levels() == 2 * [ERROR]
    assert 'images arrive, but their stamp stands still at 5000.000000000' in street.statuses['CAM_BACK'].message
    assert street.warnings == ['no camera delivers new images']


def test_a_loss_is_told_until_the_next_look() -> None:
    street = Street(simulated=False)
    street.run(1, pace=1.0)
    street.counters.set_dropped('no transform', 'set 5: odom is not known')
    street.counters.frame_refused('error', 'set 6: broken')
    street.counters.message_refused('/CAM_BACK', 'no JPEG')
    street.counters.memory_reset('gap', 'the memory starts anew: 3 s without a frame')
    street.run(1, pace=1.0)
    assert {name: status.level for name, status in street.statuses.items() if status.level} == {
        'sets': WARN,
        'inputs': WARN,
    }
    assert street.statuses['recurrent memory'].message == 'reset: gap'
    assert street.warnings == ['the memory starts anew: 3 s without a frame'], 'what is refused is in the log already'
    street.run(1, pace=1.0)
    assert not any(status.level for status in street.statuses.values())
    assert street.statuses['sets'].values['dropped: no transform'] == '1'
    assert len(street.warnings) == 1


@pytest.mark.parametrize(('policy', 'level'), [('skip', ERROR), ('camera_only', WARN)])
def test_sets_without_a_cloud_are_named_though_clouds_come(policy: str, level: int) -> None:
    counters = Counters(CAMERAS)
    pipeline = PipelineSettings(cameras=CAMERAS, missing_lidar=policy)
    health = Health(Expected.by(pipeline, TopicSettings(), NodeSettings(), lidar=True), counters.snapshot(), time=100.0)
    health.activate(counters.snapshot(), 100.0, active=True)
    counters.cloud_received(5000 * NANOSECONDS, 100.5)
    counters.cloud_missing('set 5: no cloud')
    statuses, _ = health.look(counters.snapshot(), Moment(101.0, 5001 * NANOSECONDS, 1.0), queued=0)
    lidar = next(status for status in statuses if status.name == 'lidar')
    assert (lidar.level, lidar.message) == (level, f'receiving; sets without a cloud: 1 (missing_lidar: {policy})')
    assert (lidar.values['rate [Hz]'], lidar.values['age by stamp [s]']) == ('1.00', '1.00')
