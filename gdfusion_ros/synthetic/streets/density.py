"""How much of what there is on the streets: as on an ordinary day, or crowded with what is rare on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Density:
    """What chance decides by.

    Attributes:
        traffic: Share of every kind among who drives; a road train is a truck with a trailer.
        vehicle_spacing, walker_spacing: Least and largest mean distance between two on a lane [m].
        parked: Share of every kind in the parking strips.
        occupied: Shares of a strip's places that are taken, one of which holds for a strip.
        furniture: Share of every kind that stands along the kerb.
        furniture_step: From one to the next [m].
        roadworks: Share of the parking strips that are closed for a stretch.
    """

    traffic: Mapping[str, float]
    vehicle_spacing: tuple[float, float]
    walker_spacing: tuple[float, float]
    parked: Mapping[str, float]
    occupied: tuple[float, ...]
    furniture: Mapping[str, float]
    furniture_step: float
    roadworks: float


ORDINARY = Density(
    traffic={'car': 0.58, 'truck': 0.11, 'road_train': 0.06, 'bus': 0.08, 'motorcycle': 0.09, 'bicycle': 0.08},
    vehicle_spacing=(26, 70),
    walker_spacing=(25, 90),
    parked={'car': 0.76, 'truck': 0.08, 'trailer': 0.05, 'bus': 0.03, 'parked_motorcycle': 0.08},
    occupied=(0.25, 0.6, 0.85),
    furniture={
        'tree': 0.38,
        'sign': 0.08,
        'bin': 0.08,
        'bench': 0.07,
        'bush': 0.09,
        'parked_bicycle': 0.14,
        'parked_motorcycle': 0.07,
        'traffic_cone': 0.06,
        'barrier': 0.03,
    },
    furniture_step=7.0,
    roadworks=0.5,
)

CROWDED = Density(
    traffic={'car': 0.2, 'truck': 0.16, 'road_train': 0.16, 'bus': 0.16, 'motorcycle': 0.16, 'bicycle': 0.16},
    vehicle_spacing=(16, 40),
    walker_spacing=(4, 16),
    parked={'car': 0.3, 'truck': 0.2, 'trailer': 0.2, 'bus': 0.15, 'parked_motorcycle': 0.15},
    occupied=(0.7, 0.85, 0.95),
    furniture={
        'tree': 0.1,
        'sign': 0.05,
        'bin': 0.12,
        'bench': 0.1,
        'bush': 0.08,
        'parked_bicycle': 0.17,
        'parked_motorcycle': 0.12,
        'traffic_cone': 0.13,
        'barrier': 0.13,
    },
    furniture_step=5.0,
    roadworks=1.0,
)
