"""What nuScenes' categories of things and points are among the classes of the occupancy labels."""

from __future__ import annotations

from gdfusion_ros.perception.labels import OCC3D_NUSCENES, LabelClass

# A category, or what it begins with -> class; the rest is 'others', as in nuScenes-lidarseg.
_CLASSES = {
    'human.pedestrian.personal_mobility': 'others',
    'human.pedestrian.stroller': 'others',
    'human.pedestrian.wheelchair': 'others',
    'human.pedestrian': 'pedestrian',
    'movable_object.barrier': 'barrier',
    'movable_object.trafficcone': 'traffic_cone',
    'vehicle.bicycle': 'bicycle',
    'vehicle.bus': 'bus',
    'vehicle.car': 'car',
    'vehicle.construction': 'construction_vehicle',
    'vehicle.motorcycle': 'motorcycle',
    'vehicle.trailer': 'trailer',
    'vehicle.truck': 'truck',
    'flat.driveable_surface': 'driveable_surface',
    'flat.other': 'other_flat',
    'flat.sidewalk': 'sidewalk',
    'flat.terrain': 'terrain',
    'static.manmade': 'manmade',
    'static.vegetation': 'vegetation',
}


def label_of(category: str) -> LabelClass:
    """The Occ3D class of a nuScenes category, of a thing or of a LiDAR point."""
    name = next((name for start, name in _CLASSES.items() if category.startswith(start)), 'others')
    return OCC3D_NUSCENES.by_name(name)
