"""A world from a seed: a town, somebody who drives through it, and all that is seen from there."""

from __future__ import annotations

from numpy.random import Generator

from gdfusion_ros.synthetic.streets import ground, kerbside, lanes, parcels, population, town
from gdfusion_ros.synthetic.streets.density import Density
from gdfusion_ros.synthetic.streets.site import Site
from gdfusion_ros.synthetic.world import World

_SIGHT = 90.0  # [m] from the way that is filmed


def build(weather: str, duration: float, density: Density, rng: Generator) -> World:
    """A world in which something happens for ``duration`` seconds."""
    plan = town.build(rng)
    ways = lanes.build(plan)
    people = population.populate(ways, duration, density, rng)
    site = Site(plan.size, people.way, _SIGHT, rng)
    kerbside.reserve_ways(site, plan, ways)
    parcels.furnish(site, plan)
    kerbside.furnish(site, plan, density)
    surfaces = ground.draw(plan, site.yards, site.driveways)
    return World(int(rng.integers(2**31)), weather, surfaces, (*site.objects, *people.objects), people.ego)
