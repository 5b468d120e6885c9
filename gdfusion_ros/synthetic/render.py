"""Pictures and ranges of a synthetic world, by casting rays.

Depth and class of a pixel are those of the ray through its centre. The same world, view and time give the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdfusion_ros.synthetic.objects.solids import Floats
from gdfusion_ros.synthetic.rendering.film import develop
from gdfusion_ros.synthetic.rendering.light import radiance
from gdfusion_ros.synthetic.rendering.packing import Placement, cast_of, pack_ground
from gdfusion_ros.synthetic.rendering.reflectance import Colors, Rays, Reflectance, coats, mirrored
from gdfusion_ros.synthetic.rendering.sky import Light, light_of
from gdfusion_ros.synthetic.rendering.tracing import GROUND, Hits, sunlit, trace
from gdfusion_ros.synthetic.weather import WEATHER
from gdfusion_ros.synthetic.world import PinholeCamera, Rendering, World

_SAMPLES = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))
"""Where in a pixel on an edge further rays go, from its centre [px]."""

_STREET_LIGHT, _HEADLAMP = (26.0, 20.5, 13.0), (30.0, 28.0, 24.0)
_MIRROR_RANGE, _MIRROR_DISTANCE = 70.0, 5.0
"""How far away wet ground still mirrors, and how far it is taken to be for the mirrored detail [m]."""


class _Start(NamedTuple):
    """Where rays start: (1, 3) or (n, 3) origins, a pixel's width at a distance of 1, the distance behind them [m].

    Only mirrored rays have a distance behind them.
    """

    origins: Floats
    pixel: float
    distance: float


class Renderer:
    """Casts rays into a world.

    Methods may be called from several threads at once; they release the interpreter while they work.
    """

    def __init__(self, world: World) -> None:
        """Prepare ``world`` for views at any time."""
        self._world = world
        self._weather = WEATHER[world.weather]
        self._cast = cast_of(world)
        self._ground = pack_ground(world.ground)
        self._street_lights = np.array(
            [index for index, item in enumerate(world.objects) if item.model.kind == 'street_light'], int
        )

    def image(self, view: PinholeCamera, time: float) -> Rendering:
        """What a camera sees at ``time`` [s]; pixels on edges are smoothed by further rays."""
        placed, origin = self._cast.place(time), view.world_from_camera[:3, 3]
        light = light_of(self._weather, self._lamps(placed, origin, time), self._world.seed)
        start = _Start(origin[None].copy(), float(1 / view.intrinsics[0, 0]), 0.0)
        rows, columns = (axis.ravel() + 0.5 for axis in np.indices((view.height, view.width)))
        directions = _directions(view, columns, rows)
        hits, colors = self._look(placed, light, directions, start)
        edges = np.flatnonzero(_edges(hits, (view.height, view.width)))
        mean = colors[edges]
        for x, y in _SAMPLES:
            mean = mean + self._look(placed, light, _directions(view, columns[edges] + x, rows[edges] + y), start)[1]
        colors[edges] = mean / (len(_SAMPLES) + 1)
        shape = (view.height, view.width)
        pixels = develop(colors.reshape(*shape, 3), self._weather, self._noise_seed(view, time))
        depth = hits.distances * np.einsum('ij,j->i', directions, view.world_from_camera[:3, 2])
        return Rendering(pixels, hits.labels.reshape(shape), depth.astype(np.float32).reshape(shape))

    def ranges(self, origin: Floats, directions: Floats, time: float) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Distances and classes along rays from ``origin`` (3,) in ``directions`` (n, 3) at ``time`` [s].

        Returns:
            (n,) float32 in multiples of the direction's length, infinite where nothing is met, and (n,) uint8 classes
            of occ3d_nuscenes, 17 where nothing is met.
        """
        hits = trace(
            self._cast.shapes,
            self._cast.place(time),
            self._ground,
            np.asarray(origin, np.float64)[None],
            np.ascontiguousarray(directions, np.float64),
        )
        return hits.distances.astype(np.float32), hits.labels

    def _look(self, placed: Placement, light: Light, directions: Floats, start: _Start) -> tuple[Hits, Colors]:
        """What rays of length 1 hit, and (n, 3) the light from there."""
        shapes, wetness = self._cast.shapes, self._weather.wetness if start.distance == 0 else 0.0
        hits = trace(shapes, placed, self._ground, start.origins, directions)
        points = start.origins + np.where(np.isfinite(hits.distances), hits.distances, 0.0)[:, None] * directions
        rays = Rays(points, directions, start.pixel, start.distance)
        surfaces = coats(shapes, placed, hits, rays, wetness, self._world.seed)
        if any(self._weather.sun):
            lit = sunlit(shapes, placed, points, hits.normals, light.sun_direction)
        else:
            lit = np.zeros(len(points), np.bool_)
        colors = radiance(shapes, placed, light, hits, rays, lit, surfaces)
        if wetness > 0:
            self._mirror(placed, light, hits, rays, surfaces, colors)
        return hits, colors

    def _mirror(
        self, placed: Placement, light: Light, hits: Hits, rays: Rays, surfaces: Reflectance, colors: Colors
    ) -> None:
        """Add what the wet ground mirrors to the ``colors`` that rays see."""
        wet = np.flatnonzero((hits.objects == GROUND) & (hits.distances < _MIRROR_RANGE))
        onward = mirrored(rays.points[wet], rays.directions[wet], self._world.seed)
        start = _Start(rays.points[wet] + (0.0, 0.0, 1e-3), rays.pixel, _MIRROR_DISTANCE)
        seen = self._look(placed, light, onward, start)[1]
        share = surfaces.gloss[wet] * (0.05 + 0.95 * (1 - onward[:, 2]) ** 5)
        haze = np.exp(-light.haze * hits.distances[wet])
        colors[wet] += (share * haze)[:, None] * seen

    def _lamps(self, placed: Placement, origin: Floats, time: float) -> Floats:
        """(k, 10) the lamps that light the street near a camera at night (see sky.Light)."""
        lamps = [np.empty((0, 10))]
        if self._weather.lamps >= 1:
            poses = placed.poses[self._street_lights]
            near = np.hypot(*(poses[:, :2] - origin[:2]).T) < 60
            for item, (x, y, cos, sin) in zip(self._street_lights[near], poses[near], strict=True):
                length, _, height = self._world.objects[item].model.size
                arm = length / 2 - 0.4
                lamps.append(np.array([[x + arm * cos, y + arm * sin, height - 0.3, 0, 0, -1, 0.1, *_STREET_LIGHT]]))
            x, y, yaw = self._world.ego.at(time)
            ahead = np.array((math.cos(yaw), math.sin(yaw)))
            lamps.append(np.array([[x + 3.6 * ahead[0], y + 3.6 * ahead[1], 0.7, *ahead, -0.08, 0.85, *_HEADLAMP]]))
        return np.concatenate(lamps)

    def _noise_seed(self, view: PinholeCamera, time: float) -> int:
        """A number of its own for every picture."""
        place = np.append(view.world_from_camera.ravel(), (time, self._world.seed)).astype('<f8').tobytes()
        return int.from_bytes(hashlib.blake2b(place, digest_size=6).digest(), 'little')


def _directions(view: PinholeCamera, columns: Floats, rows: Floats) -> Floats:
    """(n, 3) rays of length 1 in the world through places in the image [px]."""
    across, down, ahead = (view.world_from_camera[:3, :3] @ np.linalg.inv(view.intrinsics)).T
    # Not as one matrix product: that may round differently with another number of threads.
    rays: Floats = columns[:, None] * across + rows[:, None] * down + ahead
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return rays


def _edges(hits: Hits, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) whether a pixel's neighbour shows another part or ground."""
    key = (hits.objects.astype(np.int64) << 32 | hits.parts).reshape(shape)
    edges = np.zeros(shape, np.bool_)
    across, down = key[:, 1:] != key[:, :-1], key[1:] != key[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return edges
