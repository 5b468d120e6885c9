from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.objects import solids
from gdfusion_ros.synthetic.render import Renderer
from gdfusion_ros.synthetic.weather import WEATHER
from gdfusion_ros.synthetic.world import Ground, Material, Model, PinholeCamera, Surface, Trajectory, World, WorldObject

CAR, FREE = 4, 17
WIDTH, HEIGHT, FOCAL = 96, 54, 60.0
EGO = Trajectory(np.zeros(1), np.zeros((1, 3)))


def view_from(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0) -> PinholeCamera:
    """A camera that looks along x, turned to the left by ``yaw`` and down by ``pitch``."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    forward = np.array([cos * math.cos(pitch), sin * math.cos(pitch), -math.sin(pitch)])
    right = np.array([sin, -cos, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack((right, np.cross(forward, right), forward))
    pose[:3, 3] = (x, y, z)
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    return PinholeCamera(WIDTH, HEIGHT, intrinsics, pose)


def world_of(*objects: WorldObject, weather: str = 'noon', seed: int = 1, surface: Surface = Surface.ASPHALT) -> World:
    ground = Ground(np.full((200, 200), surface, np.uint8), (-50.0, -50.0), 0.5)
    return World(seed, weather, ground, objects, EGO)


def block(lower: tuple[float, float, float], upper: tuple[float, float, float], label: int = CAR) -> WorldObject:
    size = (upper[0] - lower[0], upper[1] - lower[1], upper[2])
    part = solids.box(lower, upper, (Material.PLASTER, (0.5, 0.5, 0.5)))
    return WorldObject(Model('block', label, size, (part,)), EGO)


def street(weather: str = 'noon', seed: int = 5) -> World:
    rng = np.random.default_rng(seed)
    kinds = ('car', 'tree', 'pedestrian', 'bus', 'barrier', 'street_light', 'bush', 'truck')
    places = [(8.0 + 4 * index, (-1) ** index * 4.0, 0.4 * index) for index in range(len(kinds))]
    objects = [
        WorldObject(catalogue.make(kind, rng), Trajectory(np.zeros(1), np.array([place])))
        for kind, place in zip(kinds, places, strict=True)
    ]
    house = WorldObject(
        catalogue.building(rng, 10.0, 14.0, 9.0), Trajectory(np.zeros(1), np.array([[30.0, 14.0, -math.pi / 2]]))
    )
    return world_of(*objects, house, weather=weather, seed=seed)


def test_depth_and_class_of_a_wall_are_exact() -> None:
    rendering = Renderer(world_of(block((10.0, -2.0, 0.0), (11.0, 2.0, 3.0)))).image(view_from(0.0, 0.0, 1.5), 0.0)
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    aside, up = 10 * (columns - WIDTH / 2) / FOCAL, 1.5 - 10 * (rows - HEIGHT / 2) / FOCAL
    wall = (np.abs(aside) < 2) & (up > 0) & (up < 3)
    assert np.array_equal(rendering.labels == CAR, wall)
    assert rendering.depth[wall] == pytest.approx(np.full(wall.sum(), 10.0), abs=1e-4)
    ground = (rendering.labels == 11) | (rendering.labels == 14)
    assert rendering.depth[ground] == pytest.approx((1.5 * FOCAL / (rows - HEIGHT / 2))[ground], rel=1e-5)
    assert np.isinf(rendering.depth[rendering.labels == FREE]).all()
    assert (ground | wall | (rendering.labels == FREE)).all()


def test_images_and_ranges_agree() -> None:
    renderer, view = Renderer(street()), view_from(0.0, 0.0, 1.6, 0.2, 0.05)
    rendering = renderer.image(view, 0.0)
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    rays = np.linalg.inv(view.intrinsics) @ np.stack((columns.ravel(), rows.ravel(), np.ones(rows.size)))
    # Rays with a depth of 1 for every step have ranges that are depths.
    ranges, labels = renderer.ranges(view.world_from_camera[:3, 3], (view.world_from_camera[:3, :3] @ rays).T, 0.0)
    assert np.array_equal(labels, rendering.labels.ravel())
    assert ranges == pytest.approx(rendering.depth.ravel(), rel=1e-5)
    assert len(np.unique(labels)) >= 6
    assert ranges.dtype == np.float32


def test_the_sun_casts_shadows() -> None:
    direction = WEATHER['noon'].sun_direction
    post = block((-0.5, -0.5, 0.0), (0.5, 0.5, 8.0))
    shade = -np.array(direction[:2]) / np.hypot(*direction[:2]) * 3
    for weather, darkens in (('noon', True), ('overcast', False)):
        renderer = Renderer(world_of(post, weather=weather))
        dark, bright = (
            renderer.image(view_from(x, y, 2.0, pitch=math.pi / 2 - 1e-6), 0.0).pixels[20:34, 40:56].mean()
            for x, y in (shade, -shade)
        )
        assert (dark < 0.75 * bright) == darkens


def test_things_darken_the_ground_at_their_feet() -> None:
    near, far = (
        Renderer(world_of(block((1.0, -3.0, 0.3), (4.0, 3.0, 2.0)), weather='overcast'))
        .image(view_from(x, 0.0, 0.28, pitch=math.pi / 2 - 1e-6), 0.0)
        .pixels.mean()
        for x in (2.5, -3.0)
    )
    assert near < 0.8 * far


@pytest.mark.parametrize('weather', WEATHER)
def test_weather_gives_a_picture_with_contrast(weather: str) -> None:
    rendering = Renderer(street(weather)).image(view_from(0.0, 0.0, 1.6), 0.0)
    assert rendering.pixels.shape == (HEIGHT, WIDTH, 3)
    assert 15 < rendering.pixels.mean() < 220
    assert rendering.pixels.std() > 12


def test_fog_hides_what_is_far() -> None:
    contrasts = []
    for distance in (5.0, 60.0):
        wall = block((distance, -50.0, 0.0), (distance + 1, 50.0, 50.0))
        pixels = Renderer(world_of(wall, weather='fog')).image(view_from(0.0, 0.0, 1.6), 0.0).pixels
        sky = Renderer(world_of(weather='fog')).image(view_from(0.0, 0.0, 1.6), 0.0).pixels
        contrasts.append(abs(float(pixels[20:25].mean()) - float(sky[20:25].mean())))
    assert contrasts[1] < 0.5 * contrasts[0]


def test_wet_ground_mirrors() -> None:
    part = solids.box((0.0, -2.0, 0.0), (1.0, 2.0, 2.0), (Material.LAMP, (1.0, 0.0, 0.0)))
    lamp = Model('lamp', CAR, (1.0, 4.0, 2.0), (part,))
    red = {}
    for weather in ('overcast', 'rain'):
        item = WorldObject(lamp, Trajectory(np.zeros(1), np.array([[8.0, 0.0, 0.0]])))
        rendering = Renderer(world_of(item, weather=weather)).image(view_from(0.0, 0.0, 1.5, pitch=0.1), 0.0)
        below = rendering.pixels[36:44, 40:56].astype(float)
        assert (rendering.labels[36:44, 40:56] == 11).all()
        red[weather] = (below[..., 0] - below[..., 2]).mean()
    assert red['rain'] > red['overcast'] + 8


def test_textures_move_with_things_and_noise_does_not() -> None:
    crown = Model(
        'crown',
        16,
        (4.0, 4.0, 4.0),
        (solids.box((-2.0, -2.0, 0.0), (2.0, 2.0, 4.0), (Material.FOLIAGE, (0.1, 0.3, 0.1))),),
    )
    trajectory = Trajectory(np.array([0.0, 1.0]), np.array([[6.0, 0.0, 0.0], [6.0, 1.0, 0.0]]))
    world = dataclasses.replace(world_of(weather='overcast'), objects=(WorldObject(crown, trajectory),))
    renderer = Renderer(world)
    first, moved = (
        renderer.image(view_from(0.0, time, 2.0), time).pixels[20:30, 30:60].astype(float) for time in (0.0, 1.0)
    )
    assert first.std() > 4
    assert np.corrcoef(first.ravel(), moved.ravel())[0, 1] > 0.9
    assert not np.array_equal(first, moved)


def test_the_same_world_gives_the_same_bytes_in_any_thread() -> None:
    world, views = street(), [view_from(0.0, 0.0, 1.6, yaw) for yaw in (0.0, 1.0, 2.0, 3.0)]
    renderer = Renderer(world)
    alone = [renderer.image(view, 0.5).pixels.tobytes() for view in views]
    with ThreadPoolExecutor(4) as pool:
        together = [rendering.pixels.tobytes() for rendering in pool.map(lambda view: renderer.image(view, 0.5), views)]
    assert alone == together
    assert len(set(alone)) == len(views)
    assert renderer.image(views[0], 0.6).pixels.tobytes() != alone[0]


@pytest.mark.slow
def test_another_process_gives_the_same_bytes() -> None:
    code = (
        f'import hashlib, runpy; names = runpy.run_path({__file__!r});'
        "print(hashlib.sha256(names['Renderer'](names['street']()).image(names['view_from'](0, 0, 1.6), 0.0)"
        '.pixels.tobytes()).hexdigest())'
    )
    digests = {
        subprocess.run(
            [sys.executable, '-c', code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_another_seed_gives_another_picture_of_the_same_things() -> None:
    first, second = (
        Renderer(dataclasses.replace(street(), seed=seed)).image(view_from(0.0, 0.0, 1.6), 0.0) for seed in (1, 2)
    )
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.pixels, second.pixels)
