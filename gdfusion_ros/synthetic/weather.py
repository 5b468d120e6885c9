"""Light and weather, the same from a scene's beginning to its end.

Colours are linear RGB, brightness 1 is a white wall in full sun.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Weather:
    """The light of a scene.

    Attributes:
        sun_height: the sun above the horizon [rad].
        sun_heading: where it stands, counter-clockwise from the world's x axis [rad].
        sun: its light on what faces it; black where clouds hide it.
        zenith, horizon: the sky's colours. The light from all sides follows them.
        clouds: share of the sky that they cover, 0..1.
        haze: how much of the light is lost in one metre of air [1/m].
        exposure: the cameras' factor on all light.
        wetness: how much the ground mirrors, 0..1; above 0 pictures take about half as long again.
        lamps: how brightly lamps, street lights and windows shine; 0 by day.
        noise: deviation of the cameras' noise at mid grey, as a share of white.
    """

    sun_height: float
    sun_heading: float
    sun: Color
    zenith: Color
    horizon: Color
    clouds: float
    haze: float
    exposure: float
    wetness: float = 0.0
    lamps: float = 0.0
    noise: float = 0.008

    @property
    def sun_direction(self) -> Color:
        """Unit vector to the sun."""
        flat = math.cos(self.sun_height)
        return (flat * math.cos(self.sun_heading), flat * math.sin(self.sun_heading), math.sin(self.sun_height))


# fmt: off
WEATHER = {
    'noon': Weather(math.radians(58), 0.7, (1.45, 1.36, 1.20), (0.13, 0.27, 0.62), (0.52, 0.66, 0.86),
                    clouds=0.35, haze=0.0006, exposure=1.0),
    'morning': Weather(math.radians(27), 2.5, (1.50, 1.16, 0.78), (0.20, 0.33, 0.60), (0.78, 0.68, 0.56),
                       clouds=0.28, haze=0.0012, exposure=1.15),
    'overcast': Weather(math.radians(50), 0.0, (0.0, 0.0, 0.0), (0.62, 0.65, 0.70), (0.78, 0.81, 0.85),
                        clouds=0.8, haze=0.0012, exposure=1.45),
    'evening': Weather(math.radians(16), 4.1, (1.45, 0.86, 0.40), (0.17, 0.22, 0.42), (0.86, 0.52, 0.34),
                       clouds=0.45, haze=0.0012, exposure=1.5, lamps=0.2),
    'fog': Weather(math.radians(40), 0.0, (0.0, 0.0, 0.0), (0.56, 0.58, 0.61), (0.58, 0.60, 0.63),
                   clouds=0.5, haze=0.020, exposure=1.25, lamps=0.3, noise=0.010),
    'rain': Weather(math.radians(45), 0.0, (0.0, 0.0, 0.0), (0.26, 0.29, 0.33), (0.38, 0.41, 0.45),
                    clouds=0.75, haze=0.0045, exposure=2.0, wetness=0.8, lamps=0.4, noise=0.014),
    'night': Weather(math.radians(55), 1.2, (0.0, 0.0, 0.0), (0.006, 0.009, 0.020), (0.020, 0.019, 0.026),
                     clouds=0.5, haze=0.0015, exposure=3.0, lamps=1.0, noise=0.026),
}
"""All weather by name."""
# fmt: on

EVERYDAY = ('noon', 'morning', 'overcast', 'evening')
"""Weather of ordinary scenes; in the rest less is seen."""
