"""Views logged to Rerun: into an .rrd file, to its viewer, or to its viewer in a browser.

The vehicle is an entity below /world, with its voxels, a VoxelGridMap for every class (so that classes are switched in
Rerun's list), and its cameras with their images. Times are the grids' stamps, on the timeline 'stamp'.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import refuse_existing
from gdfusion_ros.messages.encode import exposed
from gdfusion_ros.messages.wire import to_wire
from gdfusion_ros.perception.poses import quaternion
from gdfusion_ros.perception.types import Matrix, SemanticGrid
from gdfusion_ros.viewers.jpeg import jpeg
from gdfusion_ros.viewers.optional import library
from gdfusion_ros.viewers.view import View
from gdfusion_ros.visualization.voxels import behind

APPLICATION = 'gdfusion'
VEHICLE = 'world/vehicle'
_HOST, _PORT = '127.0.0.1', 9876
"""Where Rerun's viewer listens: its own port."""
_PATIENCE = 120.0
"""How long the rest may take to be written [s]. Without a limit, a viewer that is gone is waited for."""
_LEVELS = ('INFO', 'WARN', 'ERROR', 'WARN')
"""Rerun's names of the levels of diagnostics."""


class RerunLog:
    """A Viewer that logs to Rerun. Made by ``to_file`` or ``to_viewer``."""

    def __init__(self, sdk: Any, connect: Callable[[Any], object]) -> None:
        """``connect`` says of the recording where it goes."""
        self._sdk = sdk
        self._stream = sdk.RecordingStream(APPLICATION)
        connect(self._stream)
        self._arranged_for: tuple[object, ...] | None = None

    def show(self, view: View) -> None:
        """Log ``view`` at its stamp."""
        log, rr = self._stream.log, self._sdk
        self._arrange(view)
        self._stream.set_time('stamp', timestamp=np.datetime64(view.stamp, 'ns'))
        if view.fixed_from_grid is not None:
            log(VEHICLE, self._transform(view.fixed_from_grid))
        self._voxels(f'{VEHICLE}/voxels', view.snapshot.grid)
        if view.snapshot.truth is not None:
            self._voxels(f'{VEHICLE}/truth', view.snapshot.truth)
        self._cameras(view)
        for name, value in view.numbers.items():
            log(rr.new_entity_path(['numbers', name]), rr.Scalars(value))
        for status in view.statuses:
            log(
                rr.new_entity_path(['diagnostics', status.name]),
                rr.TextLog(status.message, level=_LEVELS[min(status.level, 3)]),
            )

    def close(self) -> None:
        """Write what has not been written.

        Raises:
            GdfusionError: the viewer was closed before it had all, or the file could not be written.
        """
        try:
            self._stream.flush(timeout_sec=_PATIENCE)
        except RuntimeError as error:
            raise GdfusionError(f'Rerun did not get all grids: {error}') from error
        finally:
            self._stream.disconnect()

    def _voxels(self, path: str, grid: SemanticGrid) -> None:
        """Every class as sparse voxels; those that are hidden from all sides are left out."""
        shown = to_wire(exposed(grid.occupied))
        indices = np.flatnonzero(shown)
        labels = to_wire(grid.labels)[indices]
        columns, rows, _ = grid.labels.shape
        places = np.stack((indices % columns, indices // columns % rows, indices // (columns * rows)), axis=1)
        for label in grid.label_set.occupied:
            of_class = places[labels == label.id].astype(np.int32)
            self._stream.log(
                f'{path}/{label.name}',
                self._sdk.VoxelGridMap(
                    of_class,
                    grid.voxel_size,
                    colors=np.tile(np.array(label.color, np.uint8), (len(of_class), 1)),
                    translation=grid.origin,
                ),
            )

    def _cameras(self, view: View) -> None:
        for camera, pixels in view.snapshot.images.items():
            path = f'{VEHICLE}/{camera}'
            if camera in view.cameras:
                place = view.cameras[camera]
                self._stream.log(
                    path,
                    self._transform(place.grid_from_camera),
                    self._sdk.Pinhole(
                        image_from_camera=place.intrinsics, resolution=(pixels.shape[1], pixels.shape[0])
                    ),
                )
            self._stream.log(f'{path}/image', self._sdk.EncodedImage(contents=jpeg(pixels), media_type='image/jpeg'))

    def _transform(self, parent_from_child: Matrix) -> Any:
        return self._sdk.Transform3D(
            translation=parent_from_child[:3, 3], quaternion=self._sdk.Quaternion(xyzw=quaternion(parent_from_child))
        )

    def _arrange(self, view: View) -> None:
        """The panels, anew where other cameras or numbers are there."""
        parts = (view.snapshot.truth is not None, *view.snapshot.images, *view.numbers)
        if parts == self._arranged_for:
            return
        self._arranged_for = parts
        self._stream.send_blueprint(_layout(library('rerun.blueprint', 'rerun'), view))
        self._stream.log('world', self._sdk.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)


def _layout(blueprint: Any, view: View) -> Any:
    """Prediction and ground truth from behind the vehicle, numbers and diagnostics beside them, images below."""
    kinds = {'Prediction': 'voxels', 'Ground truth': 'truth'} if view.snapshot.truth else {'Prediction': 'voxels'}
    from_behind = behind(view.snapshot.grid, 1.0)
    eye = blueprint.EyeControls3D(position=from_behind.eye, look_target=from_behind.target, eye_up=(0.0, 0.0, 1.0))
    above = [
        blueprint.Spatial3DView(
            origin=VEHICLE, name=name, eye_controls=eye, line_grid=False, contents=[f'+ {VEHICLE}/{kind}/**']
        )
        for name, kind in kinds.items()
    ]
    beside = [blueprint.TimeSeriesView(origin='numbers', name='Numbers')] if view.numbers else []
    beside += [blueprint.TextLogView(origin='diagnostics', name='Diagnostics')] if view.statuses else []
    rows = [blueprint.Horizontal(*above, *([blueprint.Vertical(*beside)] if beside else []))]
    cameras = [
        blueprint.Spatial2DView(origin=f'{VEHICLE}/{camera}', name=camera, contents=[f'+ {VEHICLE}/{camera}/**'])
        for camera in view.snapshot.cameras
        if camera in view.snapshot.images
    ]
    rows += [blueprint.Grid(*cameras, grid_columns=3)] if cameras else []
    return blueprint.Blueprint(blueprint.Vertical(*rows), collapse_panels=True)


def to_file(path: Path) -> RerunLog:
    """A log that is written to the .rrd file ``path``.

    Raises:
        GdfusionError: the file exists, or the library rerun-sdk is not installed.
    """
    refuse_existing(path)
    return RerunLog(library('rerun', 'rerun'), lambda stream: stream.save(path))


def to_viewer() -> RerunLog:
    """A log that goes to Rerun's viewer, which is started, or to the one that runs already.

    Rerun's own ``spawn`` has the viewer listen on all addresses, and finds it only where its folder is on PATH.

    Raises:
        GdfusionError: the library rerun-sdk is not installed, or the viewer does not start.
    """
    sdk = library('rerun', 'rerun')
    command = [sys.executable, '-m', 'rerun', '--bind', _HOST, '--port', str(_PORT), '--expect-data-soon']
    viewer = subprocess.Popen(command, start_new_session=True)  # it outlives the command that fills it
    while not _listens():
        if viewer.poll() is not None:
            raise GdfusionError("Rerun's viewer does not start here; '--rerun FILE' writes a file for it")
        time.sleep(0.1)
    return RerunLog(sdk, lambda stream: stream.connect_grpc(f'rerun+http://{_HOST}:{_PORT}/proxy'))


def _listens() -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((_HOST, _PORT)) == 0
