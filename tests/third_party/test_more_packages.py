"""More packages whose authors had no thought of differentiation: simulation, control, structures, optics."""

import random

import numpy as np
import pytest

import tapeless as tl

Q = np.array([0.1, 0.2, 0.3, 0.9])
POINTS = [[0.0, 0.0, 0.0], [1.0, 2.0, 0.5], [2.0, -1.0, 1.0], [3.0, 1.0, 0.2], [4.5, 0.3, 0.1]]
SERIES = [-2.0, 1.1, -3.0, 5.2, -1.0, 3.0, -4.1, 4.0, -2.0]


def ambiance_air(height):
    from ambiance import Atmosphere

    air = Atmosphere(height)
    return air.temperature, air.pressure, air.density, air.mean_free_path


def fastdtw_distance(x, y):
    from fastdtw import fastdtw

    return fastdtw(x, y, radius=1, dist=lambda a, b: (a - b) ** 2)[0]


def geomdl_knot(points, u):
    from geomdl import BSpline, operations, utilities

    curve = BSpline.Curve()
    curve.degree, curve.ctrlpts = 3, points
    curve.knotvector = utilities.generate_knot_vector(3, len(points))
    operations.insert_knot(curve, [0.3], [1])
    return curve.derivatives(u, 1)


def haversine_inverse(place, distance, bearing):
    from haversine import inverse_haversine

    return inverse_haversine(place, distance, bearing)


def mibian_black_scholes(price, strike, volatility):
    from mibian import BS

    option = BS([price, strike, 1.0, 30.0], volatility=volatility)
    return option.callPrice, option.putPrice, option.vega, option.gamma


def micrograd_perceptron(x):
    from micrograd.nn import MLP

    random.seed(1)
    net = MLP(2, [4, 1])
    out = net(x)
    out.backward()
    return out.data, [p.grad for p in net.parameters()]


def navpy_dcm2quat(yaw, pitch, roll):
    import navpy

    return navpy.dcm2quat(navpy.angle2dcm(yaw, pitch, roll))


def padasip_rls(wanted, forgetting):
    import padasip

    rows = np.random.default_rng(0).normal(size=(12, 3))
    out, errors, weights = padasip.filters.FilterRLS(3, mu=forgetting, w=np.zeros(3)).run(wanted, rows)
    return out, weights


def pyrr_rotated(q, v):
    from pyrr import Quaternion, Vector3

    return np.array(Quaternion(q) * Vector3(v))


def rainflow_cycles(series):
    import rainflow

    return [(size, mean) for size, mean, *_ in rainflow.extract_cycles(series)]


def simple_pid_loop(p, i, d):
    from simple_pid import PID

    control, x = PID(p, i, d, setpoint=1.0, sample_time=None), 0.0
    for _ in range(8):
        x = x + 0.1 * (control(x, dt=0.1) - x)
    return x


def thermofeel_wbgt(t, radiant, wind, dew):
    import thermofeel

    return thermofeel.calculate_wbgt(t, radiant, wind, dew)


def tmm_reflected(thickness, angle, wavelength):
    from tmm import coh_tmm

    stack = [1.0, 2.2, 3.3 + 0.3j, 1.0]
    found = coh_tmm("p", stack, [np.inf, thickness, 200.0, np.inf], angle, wavelength)
    return found["R"], found["T"]


CASES = [
    ("ambiance Atmosphere", ambiance_air, (np.array([5e3, 15e3]),)),
    ("fastdtw", fastdtw_distance, (np.sin(np.arange(9.0)), np.cos(np.arange(8.0)))),
    ("geomdl insert_knot", geomdl_knot, (POINTS, 0.4)),
    ("haversine inverse", haversine_inverse, ((45.7597, 4.8422), 50.0, 0.6)),
    ("mibian BS", mibian_black_scholes, (52.0, 50.0, 25.0)),
    ("micrograd MLP", micrograd_perceptron, ([0.4, -0.6],)),
    ("navpy dcm2quat", navpy_dcm2quat, (0.3, 0.2, 0.5)),
    ("padasip FilterRLS", padasip_rls, (np.cos(np.arange(12.0)), 0.9)),
    ("pyrr Quaternion", pyrr_rotated, (Q / np.linalg.norm(Q), np.array([1.0, 2.0, 3.0]))),
    ("rainflow extract_cycles", rainflow_cycles, (SERIES,)),
    ("simple_pid PID", simple_pid_loop, (1.5, 0.3, 0.05)),
    ("thermofeel wbgt", thermofeel_wbgt, tuple(np.array([v]) for v in (300.0, 306.0, 2.3, 295.0))),
    ("tmm coh_tmm", tmm_reflected, (300.0, 0.3, 550.0)),
]


@pytest.mark.parametrize("name, function, args", CASES, ids=[case[0] for case in CASES])
def test_package(name, function, args):
    pytest.importorskip(name.split()[0], reason="pip install tapeless[third-party]")
    tl.check_grads(function, args, order=1, rtol=1e-5)
