"""The objects that a synthetic world can hold, by kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdfusion_ros.synthetic.objects.buildings import building
from gdfusion_ros.synthetic.objects.cars import car
from gdfusion_ros.synthetic.objects.furniture import (
    barrier,
    bench,
    bin_,
    fence,
    sign,
    street_light,
    traffic_cone,
    traffic_light,
    wall,
)
from gdfusion_ros.synthetic.objects.people import bicycle, motorcycle, pedestrian
from gdfusion_ros.synthetic.objects.plants import bush, hedge, mound, tree
from gdfusion_ros.synthetic.objects.trucks import bus, construction_vehicle, trailer, truck
from gdfusion_ros.synthetic.world import Model

__all__ = ['KINDS', 'building', 'make']

_MAKERS: dict[str, Callable[[str, np.random.Generator], Model]] = {
    'car': car,
    'truck': truck,
    'bus': bus,
    'trailer': trailer,
    'construction_vehicle': construction_vehicle,
    'motorcycle': motorcycle,
    'bicycle': bicycle,
    'parked_motorcycle': motorcycle,
    'parked_bicycle': bicycle,
    'pedestrian': pedestrian,
    'traffic_cone': traffic_cone,
    'barrier': barrier,
    'tree': tree,
    'bush': bush,
    'hedge': hedge,
    'street_light': street_light,
    'traffic_light': traffic_light,
    'sign': sign,
    'fence': fence,
    'wall': wall,
    'bench': bench,
    'bin': bin_,
    'mound': mound,
}

KINDS = tuple(_MAKERS)
"""What ``make`` can make."""


def make(kind: str, rng: np.random.Generator) -> Model:
    """An object of a kind, with shape, size and colours by chance; the same ``rng`` state makes the same object.

    Raises:
        KeyError: there is no such kind.
    """
    return _MAKERS[kind](kind, rng)
