from __future__ import annotations

import numpy as np
import pytest

from gdfusion_ros.perception.labels import OCC3D_NUSCENES
from gdfusion_ros.synthetic import catalogue
from gdfusion_ros.synthetic.objects.solids import bounds
from gdfusion_ros.synthetic.world import Model

CLASSES = {
    'bench': 'others',
    'bin': 'others',
    'mound': 'terrain',
    'parked_motorcycle': 'motorcycle',
    'parked_bicycle': 'bicycle',
    'tree': 'vegetation',
    'bush': 'vegetation',
    'hedge': 'vegetation',
    'street_light': 'manmade',
    'traffic_light': 'manmade',
    'sign': 'manmade',
    'fence': 'manmade',
    'wall': 'manmade',
}

MEAN_SIZES = {
    'car': (4.6, 1.95, 1.75),
    'truck': (6.9, 2.5, 2.9),
    'bus': (11, 2.9, 3.5),
    'trailer': (12, 2.9, 3.9),
    'pedestrian': (0.73, 0.67, 1.77),
    'traffic_cone': (0.4, 0.4, 1.1),
    'barrier': (0.5, 2.5, 1.0),
    'bicycle': (1.7, 0.6, 1.3),
    'motorcycle': (2.1, 0.77, 1.5),
    'construction_vehicle': (6.4, 2.8, 3.2),
}
"""Mean boxes of nuScenes' annotations [m]; its two-wheelers have riders or not."""


def made(kind: str, count: int = 12) -> list[Model]:
    return [catalogue.make(kind, np.random.default_rng(seed)) for seed in range(count)]


def same(first: Model, second: Model) -> bool:
    return first.size == second.size and all(
        np.array_equal(a.planes, b.planes)
        and np.array_equal(a.centre, b.centre)
        and np.array_equal(a.radii, b.radii)
        and a.color == b.color
        and a.material == b.material
        for a, b in zip(first.parts, second.parts, strict=True)
    )


def assert_fills_its_box(model: Model) -> None:
    boxes = np.array([bounds(part) for part in model.parts])
    lower, upper = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    length, width, height = model.size
    assert lower[:2] == pytest.approx((-length / 2, -width / 2))
    assert upper == pytest.approx((length / 2, width / 2, height))
    assert lower[2] >= -1e-9
    assert (boxes[:, 0] < boxes[:, 1]).all()


@pytest.mark.parametrize('kind', catalogue.KINDS)
def test_a_thing_has_its_class_and_fills_its_box(kind: str) -> None:
    label = OCC3D_NUSCENES.by_name(CLASSES.get(kind, kind)).id
    for model in made(kind):
        assert (model.kind, model.label) == (kind, label)
        assert_fills_its_box(model)


@pytest.mark.parametrize('kind', catalogue.KINDS)
def test_the_same_seed_makes_the_same_thing_and_another_seed_another(kind: str) -> None:
    first, again = (catalogue.make(kind, np.random.default_rng(3)) for _ in range(2))
    assert same(first, again)
    assert not all(len(model.parts) == len(first.parts) and same(model, first) for model in made(kind, 3))


@pytest.mark.parametrize('kind', MEAN_SIZES)
def test_things_are_as_large_as_in_nuscenes(kind: str) -> None:
    kinds = [name for name in (kind, f'parked_{kind}') if name in catalogue.KINDS]
    mean = np.mean([model.size for name in kinds for model in made(name, 40)], axis=0)
    assert mean == pytest.approx(MEAN_SIZES[kind], rel=0.25, abs=0.3)


def test_things_stand_on_the_ground() -> None:
    for kind in catalogue.KINDS:
        lowest = min(bounds(part)[0][2] for part in catalogue.make(kind, np.random.default_rng(0)).parts)
        assert lowest < 0.1


@pytest.mark.parametrize('seed', range(8))
def test_a_building_fills_its_ground_plan(seed: int) -> None:
    length, width, height = 10.0 + seed, 18.0 - seed, 5.0 + 2 * seed
    model = catalogue.building(np.random.default_rng(seed), length, width, height)
    assert model.label == OCC3D_NUSCENES.by_name('manmade').id
    assert model.size == pytest.approx((length, width, height), abs=0.5)
    assert max(np.subtract(model.size, (length, width, height))) < 1e-6
    assert_fills_its_box(model)
