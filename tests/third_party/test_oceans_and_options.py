"""Oceans, options, colours and the globe: packages used as they come, at first and second order."""

import numpy as np
import pytest

import tapeless as tl


def seawater_density(salinity, temperature, pressure):
    import seawater

    return seawater.dens(salinity, temperature, pressure)


def seawater_distance(latitudes, longitudes):
    import seawater

    return seawater.dist(latitudes, longitudes)[0]


def vollib_call(spot, strike, years, rate, sigma):
    from py_vollib.black_scholes import black_scholes

    return black_scholes("c", spot, strike, years, rate, sigma)


def vollib_implied(price, forward, strike, years):
    from py_lets_be_rational import implied_volatility_from_a_transformed_rational_guess as implied

    return implied(price, forward, strike, years, 1.0)


def colour_lab(xyz):
    import colour

    return colour.XYZ_to_Lab(xyz)


def colour_hsv(rgb):
    import colour

    return colour.RGB_to_HSV(rgb)


def pygeodesy_vincenty(lat1, lon1, lat2, lon2):
    from pygeodesy.ellipsoidalVincenty import LatLon

    return LatLon(lat1, lon1).distanceTo(LatLon(lat2, lon2))


def pygeodesy_cross(x, y, z):
    from pygeodesy.vector3d import Vector3d

    v = Vector3d(x, y, z).cross(Vector3d(1.1, 2.3, 3.7))
    return v.x, v.y, v.z


def pygeodesy_haversine(lat1, lon1, lat2, lon2):
    from pygeodesy import haversine

    return haversine(lat1, lon1, lat2, lon2)


CASES = [
    ("pygeodesy Vincenty", pygeodesy_vincenty, (40.3, -70.7, 51.3, -1.7)),
    ("pygeodesy cross product", pygeodesy_cross, (0.31, 0.27, 0.57)),
    ("pygeodesy haversine", pygeodesy_haversine, (40.3, -70.7, 51.3, -1.7)),
    ("seawater density", seawater_density, (35.0, 10.0, 1000.0)),
    ("seawater dist", seawater_distance, (np.array([10.0, 11.0, 12.0]), np.array([20.0, 21.5, 23.0]))),
    ("py-vollib price", vollib_call, (100.0, 90.0, 0.5, 0.01, 0.2)),
    ("py-vollib implied volatility", vollib_implied, (12.0, 100.0, 95.0, 0.5)),
    ("colour-science Lab", colour_lab, (np.array([0.3, 0.5, 0.2]),)),
    ("colour-science HSV", colour_hsv, (np.array([0.3, 0.5, 0.2]),)),
]
MODULES = {"py-vollib": "py_vollib", "colour-science": "colour"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function", "args"), CASES, ids=[name for name, _, _ in CASES])
def test_package(name, function, args):
    package = name.split()[0]
    pytest.importorskip(MODULES.get(package, package), reason="pip install tapeless[third-party]")
    tl.check_grads(function, args, order=2)
