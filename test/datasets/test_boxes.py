"""Colours of the annotated boxes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gdfusion_ros.datasets.categories import label_of


@pytest.mark.parametrize(
    ('category', 'name'),
    [
        ('vehicle.car', 'car'),
        ('vehicle.bus.bendy', 'bus'),
        ('vehicle.bus.rigid', 'bus'),
        ('vehicle.truck', 'truck'),
        ('vehicle.construction', 'construction_vehicle'),
        ('vehicle.emergency.police', 'others'),
        ('human.pedestrian.adult', 'pedestrian'),
        ('human.pedestrian.stroller', 'others'),
        ('animal', 'others'),
        ('human.pedestrian.personal_mobility', 'others'),
        ('movable_object.trafficcone', 'traffic_cone'),
        ('movable_object.barrier', 'barrier'),
        ('static_object.bicycle_rack', 'others'),
        ('vehicle.bicycle', 'bicycle'),
    ],
)
def test_categories_have_the_classes_of_the_labels(category: str, name: str) -> None:
    assert label_of(category).name == name


def test_classes_are_those_of_nuscenes_lidarseg() -> None:
    """The challenge's classes, which Occ3D's labels were made from."""
    mapper = pytest.importorskip('nuscenes.eval.lidarseg.utils').LidarsegClassMapper
    classes = mapper.get_fine2coarse(SimpleNamespace(ignore_class={'name': 'others'}))
    named = {
        fine: coarse
        for fine, coarse in classes.items()
        if fine.startswith(('human', 'vehicle', 'movable', 'animal', 'static_object')) and fine != 'vehicle.ego'
    }
    assert len(named) == 23
    for fine, coarse in named.items():
        assert label_of(fine).name == coarse, fine
