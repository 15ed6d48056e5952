"""Functions of packages whose authors had no thought of differentiation, used as they come.

Each line of a table is (name, function, arguments). The derivatives, by forward and by reverse mode, are
compared with central differences, and the value with the plain call, to the last bit.
"""

import functools

import numpy as np
import pytest

import tapeless as tl

# ---- geodesy -----------------------------------------------------------------------------------------------


def geographiclib_inverse(lat1, lon1, lat2, lon2):
    from geographiclib.geodesic import Geodesic

    return Geodesic.WGS84.Inverse(lat1, lon1, lat2, lon2)["s12"]


def geographiclib_direct(lat, lon, azimuth, distance):
    from geographiclib.geodesic import Geodesic

    end = Geodesic.WGS84.Direct(lat, lon, azimuth, distance)
    return end["lat2"], end["lon2"]


def geographiclib_polygon(points):
    from geographiclib.geodesic import Geodesic

    polygon = Geodesic.WGS84.Polygon()
    for lat, lon in points:
        polygon.AddPoint(lat, lon)
    count, perimeter, area = polygon.Compute()
    return perimeter + area / 1e6


def geopy_great_circle(lat1, lon1, lat2, lon2):
    from geopy.distance import great_circle

    return great_circle((lat1, lon1), (lat2, lon2)).km


def geopy_geodesic(lat1, lon1, lat2, lon2):
    from geopy.distance import geodesic

    return geodesic((lat1, lon1), (lat2, lon2)).km


def pymap3d_geodetic2ecef(lat, lon, alt):
    import pymap3d

    return pymap3d.geodetic2ecef(lat, lon, alt)


def pymap3d_ecef2geodetic(x, y, z):
    import pymap3d

    return pymap3d.ecef2geodetic(x, y, z)


def pymap3d_geodetic2aer(lat, lon, h, lat0, lon0, h0):
    import pymap3d

    return pymap3d.geodetic2aer(lat, lon, h, lat0, lon0, h0)


def pymap3d_vdist(lat1, lon1, lat2, lon2):
    from pymap3d.vincenty import vdist

    return vdist(lat1, lon1, lat2, lon2)


def pymap3d_loxodrome(lat, lon, distance, azimuth):
    from pymap3d.lox import loxodrome_direct

    return loxodrome_direct(lat, lon, distance, azimuth)


def utm_from_latlon(lat, lon):
    import utm

    easting, northing, zone, letter = utm.from_latlon(lat, lon)
    return easting, northing


def utm_to_latlon(easting, northing):
    import utm

    return utm.to_latlon(easting, northing, 32, "U")


GEODESY = [
    ("geographiclib Inverse", geographiclib_inverse, (40.6, -73.8, 51.6, -0.5)),
    ("geographiclib Direct", geographiclib_direct, (40.6, -73.8, 45.0, 1e6)),
    ("geographiclib PolygonArea", geographiclib_polygon, ([(40.0, -70.0), (45.0, -71.0), (43.0, -60.0)],)),
    ("geopy great_circle", geopy_great_circle, (41.49, -71.31, 41.50, -81.70)),
    ("geopy geodesic", geopy_geodesic, (41.49, -71.31, 41.50, -81.70)),
    ("pymap3d geodetic2ecef", pymap3d_geodetic2ecef, (42.0, -82.0, 200.0)),
    ("pymap3d ecef2geodetic", pymap3d_ecef2geodetic, (660e3, -4700e3, 4247e3)),
    ("pymap3d geodetic2aer", pymap3d_geodetic2aer, (42.0, -82.0, 1000.0, 42.2, -81.9, 200.0)),
    ("pymap3d vincenty vdist", pymap3d_vdist, (42.0, -82.0, 43.0, -80.0)),
    ("pymap3d loxodrome_direct", pymap3d_loxodrome, (40.0, -80.0, 1e5, 30.0)),
    ("utm from_latlon", utm_from_latlon, (51.2, 7.5)),
    ("utm to_latlon", utm_to_latlon, (340000.0, 5710000.0)),
]

# ---- rotations ---------------------------------------------------------------------------------------------


def transforms3d_euler2mat(a, b, c):
    from transforms3d.euler import euler2mat

    return euler2mat(a, b, c)


def transforms3d_mat2euler(m):
    from transforms3d.euler import mat2euler

    return mat2euler(m)


def transforms3d_qmult(p, q):
    from transforms3d.quaternions import qmult

    return qmult(p, q)


def transforms3d_quat2mat(q):
    from transforms3d.quaternions import quat2mat

    return quat2mat(q)


def transforms3d_axangle2mat(axis, angle):
    from transforms3d.axangles import axangle2mat

    return axangle2mat(axis, angle)


def transforms3d_compose(translation, angle, zoom):
    from transforms3d.affines import compose
    from transforms3d.euler import euler2mat

    return compose(translation, euler2mat(angle, 0.2, 0.1), zoom)


def pyquaternion_rotate(w, x, y, z, v):
    from pyquaternion import Quaternion

    return Quaternion(w, x, y, z).rotate(v)


def pyquaternion_product(a, b):
    from pyquaternion import Quaternion

    return (Quaternion(a) * Quaternion(b).inverse).elements


def ahrs_q2R(q):
    from ahrs.common.orientation import q2R

    return q2R(q / np.linalg.norm(q))


def ahrs_madgwick(gyroscope, accelerometer):
    from ahrs.filters import Madgwick

    step = Madgwick(frequency=100.0)
    return np.asarray(step.updateIMU(np.array([0.9, 0.1, 0.3, 0.2]), gyr=gyroscope, acc=accelerometer))


def ahrs_normal_gravity(latitude, height):
    from ahrs.utils import WGS

    return WGS().normal_gravity(latitude, height)


QUATERNION = np.array([0.9, 0.1, 0.2, 0.3])
ROTATION = np.array([[0.936, -0.275, 0.218], [0.290, 0.956, -0.037], [-0.199, 0.098, 0.975]])

ROTATIONS = [
    ("transforms3d euler2mat", transforms3d_euler2mat, (0.1, 0.2, 0.3)),
    ("transforms3d mat2euler", transforms3d_mat2euler, (ROTATION,)),
    ("transforms3d qmult", transforms3d_qmult, (QUATERNION, np.array([0.3, 0.1, 0.2, 0.5]))),
    ("transforms3d quat2mat", transforms3d_quat2mat, (QUATERNION,)),
    ("transforms3d axangle2mat", transforms3d_axangle2mat, ([1.0, 2.0, 3.0], 0.5)),
    ("transforms3d compose", transforms3d_compose, ([1.0, 2.0, 3.0], 0.3, [1.0, 2.0, 1.5])),
    ("pyquaternion rotate", pyquaternion_rotate, (0.9, 0.1, 0.2, 0.3, np.array([1.0, 2.0, 3.0]))),
    ("pyquaternion product", pyquaternion_product, (QUATERNION, np.array([0.3, 0.1, 0.2, 0.5]))),
    ("ahrs q2R", ahrs_q2R, (QUATERNION,)),
    ("ahrs Madgwick", ahrs_madgwick, (np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 9.7]))),
    ("ahrs normal gravity", ahrs_normal_gravity, (50.0, 100.0)),
]

# ---- filters -----------------------------------------------------------------------------------------------


def filterpy_kalman(noise, z):
    from filterpy.kalman import KalmanFilter

    kf = KalmanFilter(dim_x=2, dim_z=1)
    kf.F = np.array([[1.0, 1.0], [0.0, 1.0]])
    kf.H = np.array([[1.0, 0.0]])
    kf.P *= 10.0
    kf.R = kf.R * noise
    for measured in z:
        kf.predict()
        kf.update(measured)
    return kf.x


def filterpy_predict(x, p, q):
    from filterpy.kalman import predict

    return predict(x, p, np.array([[1.0, 0.1], [0.0, 1.0]]), q)


def filterpy_gh(g, h):
    from filterpy.gh import GHFilter

    f = GHFilter(x=0.0, dx=0.0, dt=1.0, g=g, h=h)
    for z in (1.2, 2.1, 2.9):
        f.update(z)
    return f.x


def filterpy_sigma_points(x, kappa):
    from filterpy.kalman import MerweScaledSigmaPoints

    return MerweScaledSigmaPoints(2, 0.1, 2.0, 1.0).sigma_points(x, np.eye(2) * kappa)


FILTERS = [
    ("filterpy KalmanFilter", filterpy_kalman, (0.5, [1.0, 2.1, 2.8])),
    ("filterpy predict", filterpy_predict, (np.array([1.0, 2.0]), np.eye(2), np.eye(2) * 0.01)),
    ("filterpy GHFilter", filterpy_gh, (0.8, 0.2)),
    ("filterpy MerweScaledSigmaPoints", filterpy_sigma_points, (np.array([1.0, 2.0]), 1.5)),
]

# ---- colour ------------------------------------------------------------------------------------------------


def coloraide_lab(r, g, b):
    from coloraide import Color

    return Color("srgb", [r, g, b]).convert("lab").coords()


def coloraide_oklch(r, g, b):
    from coloraide import Color

    return Color("srgb", [r, g, b]).convert("oklch").coords()


def coloraide_delta_e(rgb, other):
    from coloraide import Color

    return Color("srgb", rgb).delta_e(Color("srgb", other), method="2000")


def coloraide_contrast(rgb, other):
    from coloraide import Color

    return Color("srgb", rgb).contrast(Color("srgb", other))


def colormath_lab(r, g, b):
    from colormath.color_conversions import convert_color
    from colormath.color_objects import LabColor, sRGBColor

    return convert_color(sRGBColor(r, g, b), LabColor).get_value_tuple()


COLOUR = [
    ("coloraide srgb to lab", coloraide_lab, (0.2, 0.4, 0.6)),
    ("coloraide srgb to oklch", coloraide_oklch, (0.2, 0.4, 0.6)),
    ("coloraide delta_e 2000", coloraide_delta_e, ([0.2, 0.4, 0.6], [0.3, 0.2, 0.5])),
    ("coloraide contrast", coloraide_contrast, ([0.2, 0.4, 0.6], [0.9, 0.8, 0.9])),
    ("colormath srgb to lab", colormath_lab, (0.2, 0.4, 0.6)),
]

# ---- finance -----------------------------------------------------------------------------------------------


def financial_npv(rate, flows):
    import numpy_financial

    return numpy_financial.npv(rate, flows)


def financial_pmt(rate, principal):
    import numpy_financial

    return numpy_financial.pmt(rate, 180, principal)


def financial_fv(rate, payment, present):
    import numpy_financial

    return numpy_financial.fv(rate, 120, payment, present)


def financial_rate(present, future):
    import numpy_financial

    return numpy_financial.rate(10, 0.0, present, future)


def financial_mirr(flows, finance_rate, reinvest_rate):
    import numpy_financial

    return numpy_financial.mirr(flows, finance_rate, reinvest_rate)


FINANCE = [
    ("numpy-financial npv", financial_npv, (0.08, np.array([-40.0, 5.0, 8.0, 12.0, 30.0]))),
    ("numpy-financial pmt", financial_pmt, (0.075 / 12, 200000.0)),
    ("numpy-financial fv", financial_fv, (0.05 / 12, -100.0, -100.0)),
    ("numpy-financial rate", financial_rate, (-3500.0, 10000.0)),
    ("numpy-financial mirr", financial_mirr, (np.array([-100.0, 50.0, -60.0, 70.0]), 0.1, 0.12)),
]

# ---- thermodynamics and fluids -----------------------------------------------------------------------------


def iapws_region1(t, p):
    from iapws.iapws97 import _Region1

    state = _Region1(t, p)
    return state["v"], state["h"], state["s"]


def iapws_region2(t, p):
    from iapws.iapws97 import _Region2

    return _Region2(t, p)["h"]


def iapws_saturation(t):
    from iapws.iapws97 import _PSat_T

    return _PSat_T(t)


def iapws_viscosity(rho, t):
    from iapws._iapws import _Viscosity

    return _Viscosity(rho, t)


def fluids_friction(reynolds, roughness):
    from fluids.friction import friction_factor

    return friction_factor(reynolds, roughness)


def fluids_atmosphere(height):
    from fluids import ATMOSPHERE_1976

    air = ATMOSPHERE_1976(height)
    return air.rho, air.T, air.P


def fluids_valve(d1, d2):
    from fluids.fittings import K_angle_valve_Crane

    return K_angle_valve_Crane(d1, d2)


def ht_gnielinski(reynolds, prandtl, friction):
    from ht import turbulent_Gnielinski

    return turbulent_Gnielinski(reynolds, prandtl, friction)


def ht_lmtd(a, b, c, d):
    from ht import LMTD

    return LMTD(a, b, c, d)


def ht_effectiveness(ntu, ratio):
    from ht import effectiveness_from_NTU

    return effectiveness_from_NTU(ntu, ratio, subtype="counterflow")


def chemicals_antoine(t, a, b, c):
    from chemicals.vapor_pressure import Antoine

    return Antoine(t, a, b, c)


def chemicals_lee_kesler(t, tc, pc, omega):
    from chemicals import Lee_Kesler

    return Lee_Kesler(t, tc, pc, omega)


def chemicals_flash(fraction, zs, ks):
    from chemicals.rachford_rice import Rachford_Rice_flash_error

    return Rachford_Rice_flash_error(fraction, zs, ks)


def psychrolib_dew_point(t, humidity):
    import psychrolib

    psychrolib.SetUnitSystem(psychrolib.SI)
    return psychrolib.GetTDewPointFromRelHum(t, humidity)


def psychrolib_moist_air(t, humidity, pressure):
    import psychrolib

    psychrolib.SetUnitSystem(psychrolib.SI)
    ratio = psychrolib.GetHumRatioFromRelHum(t, humidity, pressure)
    return psychrolib.GetMoistAirEnthalpy(t, ratio), psychrolib.GetMoistAirVolume(t, ratio, pressure)


PHYSICS = [
    ("iapws region 1", iapws_region1, (300.0, 3.0)),
    ("iapws region 2", iapws_region2, (700.0, 3.0)),
    ("iapws saturation pressure", iapws_saturation, (400.0,)),
    ("iapws viscosity", iapws_viscosity, (998.0, 298.15)),
    ("fluids friction_factor", fluids_friction, (1e5, 1e-4)),
    ("fluids ATMOSPHERE_1976", fluids_atmosphere, (5000.0,)),
    ("fluids K_angle_valve_Crane", fluids_valve, (0.1, 0.15)),
    ("ht turbulent_Gnielinski", ht_gnielinski, (1e5, 1.2, 0.0185)),
    ("ht LMTD", ht_lmtd, (100.0, 60.0, 30.0, 40.2)),
    ("ht effectiveness_from_NTU", ht_effectiveness, (5.0, 0.7)),
    ("chemicals Antoine", chemicals_antoine, (100.0, 8.95894, 510.595, -15.95)),
    ("chemicals Lee_Kesler", chemicals_lee_kesler, (347.2, 425.1, 52.7e5, 0.299)),
    ("chemicals Rachford_Rice", chemicals_flash, (0.4, [0.5, 0.3, 0.2], [1.685, 0.742, 0.532])),
    ("psychrolib dew point", psychrolib_dew_point, (25.0, 0.5)),
    ("psychrolib moist air", psychrolib_moist_air, (25.0, 0.5, 101325.0)),
]

# ---- astronomy ---------------------------------------------------------------------------------------------


def sgp4_position(inclination, eccentricity, motion):
    from sgp4.model import WGS72, Satrec

    satellite = Satrec()
    epoch, drag, drift, change, perigee, anomaly, node = 18441.785, 2.8e-05, 7e-13, 0.0, 5.8, 0.33, 6.08
    satellite.sgp4init(
        WGS72, "i", 5, epoch, drag, drift, change, eccentricity, perigee, inclination, anomaly, motion, node
    )
    error, position, velocity = satellite.sgp4_tsince(60.0)
    return position


def astral_declination(century):
    from astral.sun import eq_of_time, sun_declination

    return sun_declination(century), eq_of_time(century)


def astral_refraction(zenith):
    from astral.sun import refraction_at_zenith

    return refraction_at_zenith(zenith)


def pymeeus_interpolation(ys, x):
    from pymeeus.Interpolation import Interpolation

    return Interpolation([27.0, 27.5, 28.0], ys)(x)


def pymeeus_separation(ra1, declination1, ra2, declination2):
    from pymeeus.Angle import Angle
    from pymeeus.Coordinates import angular_separation

    return angular_separation(Angle(ra1), Angle(declination1), Angle(ra2), Angle(declination2))()


def pymeeus_ecliptical(ra, declination):
    from pymeeus.Angle import Angle
    from pymeeus.Coordinates import equatorial2ecliptical

    lon, lat = equatorial2ecliptical(Angle(ra), Angle(declination), Angle(23.44))
    return lon(), lat()


ASTRONOMY = [
    ("sgp4 Satrec", sgp4_position, (0.9, 0.001, 0.0676)),
    ("astral sun", astral_declination, (0.2,)),
    ("astral refraction", astral_refraction, (80.0,)),
    ("pymeeus Interpolation", pymeeus_interpolation, ([0.49, 0.51, 0.46], 27.7)),
    ("pymeeus angular_separation", pymeeus_separation, (213.9, 19.2, 201.3, -11.2)),
    ("pymeeus equatorial2ecliptical", pymeeus_ecliptical, (116.3, 28.0)),
]

# ---- mathematics -------------------------------------------------------------------------------------------


def sympy_lambdify(x, y):
    import sympy

    a, b = sympy.symbols("a b")
    return sympy.lambdify((a, b), sympy.sin(a * b) * sympy.exp(-(a**2)) / (1 + b**2), "math")(x, y)


def networkx_shortest_path(weights):
    import networkx

    graph = networkx.DiGraph()
    for edge, weight in zip([(0, 1), (1, 2), (0, 2)], weights, strict=True):
        graph.add_edge(*edge, weight=weight)
    return networkx.dijkstra_path_length(graph, 0, 2)


def mpmath_quad(exponent, scale):
    import mpmath

    return mpmath.fp.quad(lambda t: (scale * t) ** exponent, [0.0, 1.0])


def mpmath_findroot(a):
    import mpmath

    return mpmath.fp.findroot(lambda t: t * t - a, 1.0)


@functools.lru_cache
def pint_units():
    import pint

    return pint.UnitRegistry()


def pint_area(width, height):
    units = pint_units()
    return (width * units.metre * (height * units.metre)).to("cm**2").magnitude


MATHEMATICS = [
    ("sympy lambdify", sympy_lambdify, (0.5, 0.7)),
    ("networkx dijkstra", networkx_shortest_path, ([1.0, 2.0, 5.0],)),
    ("mpmath fp.quad", mpmath_quad, (2.2, 1.3)),
    ("mpmath fp.findroot", mpmath_findroot, (3.0,)),
    ("pint product", pint_area, (3.0, 2.0)),
]

MODULES = {"numpy-financial": "numpy_financial"}
CASES = [*GEODESY, *ROTATIONS, *FILTERS, *COLOUR, *FINANCE, *PHYSICS, *ASTRONOMY, *MATHEMATICS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function", "args"), CASES, ids=[name for name, _, _ in CASES])
def test_package(name, function, args):
    package = name.split()[0]
    pytest.importorskip(MODULES.get(package, package), reason="pip install tapeless[third-party]")
    tl.check_grads(function, args, order=1)


def test_the_tables_are_wide_enough():
    packages = {name.split()[0] for name, _, _ in CASES}
    assert len(CASES) >= 30
    assert len(packages) >= 10


def test_derivatives_go_through_the_package_itself():
    """Not through a rule of our own for it: the package's own lines are in the derivative."""
    quaternions = pytest.importorskip("transforms3d.quaternions")
    source = tl.source(tl.grad(lambda q: quaternions.quat2mat(q)[0, 1]), QUATERNION)
    assert "xY" in source or "quat2mat" in source
