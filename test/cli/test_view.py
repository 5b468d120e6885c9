"""gdfusion view: grids of a bag with all that belongs to them."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gdfusion_ros.bags.messages import GRID_TYPE, RosbagsFactory
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.cli import main
from gdfusion_ros.cli import view as verb
from gdfusion_ros.evaluation.frame_scores import frame_scores
from gdfusion_ros.messages import encode
from gdfusion_ros.messages.diagnostics import DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE, diagnostic_array
from gdfusion_ros.perception.health import Status
from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.perception.types import SemanticGrid
from gdfusion_ros.settings import SURROUND_CAMERAS
from gdfusion_ros.viewers.from_bag import bag_views
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization.snapshot import Snapshot

GroundGrids = Callable[[Sequence[int]], list[SemanticGrid]]
TOPIC = '/occ/occupancy'
MAKE = RosbagsFactory()


@pytest.fixture(scope='module')
def grids(scene_bag: Path, ground_grids: GroundGrids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid for each of the scene's three sets of images, and what was said of the network then."""
    with bag_reader(scene_bag) as drive:
        stamps = [message.stamp for message in drive.raw_messages(['/CAM_FRONT/camera_info'])]
    path = tmp_path_factory.mktemp('view') / 'grids'
    with bag_writer(path) as bag:
        bag.add_topic(TOPIC, GRID_TYPE)
        bag.add_topic(DIAGNOSTICS_TOPIC, DIAGNOSTICS_TYPE)
        for number, grid in enumerate(ground_grids(stamps)):
            bag.write(TOPIC, grid.stamp, encode.occupancy(grid, MAKE))
            status = Status('occ: network', 0, f'frame {number}', {})
            bag.write(DIAGNOSTICS_TOPIC, grid.stamp, diagnostic_array(grid.stamp, [status], MAKE))
    return path


def test_a_view_has_all_that_is_known_of_its_instant(scene_bag: Path, grids: Path) -> None:
    with bag_views(scene_bag, grids, TOPIC) as views:
        assert len(views) == 3
        view = views[1]
    assert view.snapshot.images.keys() == view.cameras.keys() == set(SURROUND_CAMERAS)
    assert view.fixed_from_grid is not None
    assert view.fixed_from_grid[:3, 3] == pytest.approx((100 + 5 * 1.5, 200 + 1.5**2, 0), abs=0.3)
    front, back = view.cameras['CAM_FRONT'], view.cameras['CAM_BACK']
    assert front.intrinsics == pytest.approx(np.array([[126, 0, 80], [0, 126, 45], [0, 0, 1.0]]))
    assert front.grid_from_camera[:3, 3] == pytest.approx((1, 0, 1.5), abs=1e-6)
    # CAM_BACK fires 25.1 ms later, and the vehicle has gone on by 5 m/s and more.
    assert back.grid_from_camera[0, 3] == pytest.approx(-1 + 0.0251 * 5.8, abs=0.02)
    assert view.statuses == (Status('occ: network', 0, 'frame 1', {}),)


def test_what_the_bag_lacks_is_not_shown(grids: Path) -> None:
    with bag_views(grids, None, TOPIC) as views:
        view = views[0]
    assert (view.cameras, view.fixed_from_grid, view.snapshot.images) == ({}, None, {})


def test_scores_are_those_of_the_frame(grids: Path) -> None:
    with bag_views(grids, None, TOPIC, measure=frame_scores) as views:
        view = views[0]
    assert view.numbers == {}
    grid = view.snapshot.grid
    assert frame_scores(Snapshot(grid, grid)) == {'IoU [%]': 100.0, 'mIoU [%]': 100.0}
    half = grid.labels.copy(order='F')
    half[:5, :, 0] = OCC3D_NUSCENES.free
    scores = frame_scores(Snapshot(dataclasses.replace(grid, labels=half), grid))
    assert scores == {'IoU [%]': 50.0, 'mIoU [%]': 50.0}
    assert frame_scores(Snapshot(dataclasses.replace(grid, labels=half[:5]), grid)) == {}


class Recorder:
    """A viewer that keeps what it is shown."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.closed = False

    def show(self, view: View) -> None:
        self.stamps.append(view.stamp)

    def close(self) -> None:
        self.closed = True


def test_grids_are_played_in_the_time_of_their_stamps(grids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, slept = Recorder(), list[float]()
    monkeypatch.setattr(verb, '_viewer', lambda args: recorder)
    monkeypatch.setattr(time, 'sleep', slept.append)
    monkeypatch.setattr(time, 'monotonic', lambda: 0.0)
    assert main(['view', str(grids), '--foxglove', '--rate', '2', '--once']) == 0
    with bag_views(grids, None, TOPIC) as views:
        assert recorder.stamps == views.stamps
        gaps = [(after - before) / 2e9 for before, after in itertools.pairwise(views.stamps)]
    assert slept == pytest.approx([*gaps, 2.0])
    assert recorder.closed


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--foxglove', '--rate', '0'], '--rate 0: expected more than 0'),
        (['--rerun', 'drive.mcap'], '--rerun drive.mcap: expected a file that ends in .rrd'),
        (['--page', '0', '--topic', '/none'], 'has no messages on /none'),
    ],
)
def test_what_cannot_be_shown_is_named(
    grids: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['view', str(grids), *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_bag_of_images_alone_is_told_how_grids_are_made(scene_bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['view', str(scene_bag), '--foxglove']) == 1
    assert "no grids ('gdfusion replay' makes them of images, --topic takes others): bag " in capsys.readouterr().err


def test_a_viewer_that_is_not_installed_is_named(
    grids: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'rerun', None)
    assert main(['view', str(grids), '--rerun', str(tmp_path / 'drive.rrd')]) == 1
    assert "pip install 'gdfusion-ros[rerun]'" in capsys.readouterr().err
