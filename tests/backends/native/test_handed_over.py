"""What of SciPy has no compiled form, in compiled programs: CPython makes these calls and derivatives."""

import sys

import numpy as np
import pytest

import tapeless as tl

sg = pytest.importorskip("scipy.signal")
sd = pytest.importorskip("scipy.spatial.distance")
st = pytest.importorskip("scipy.stats")
ip = pytest.importorskip("scipy.interpolate")
nd = pytest.importorskip("scipy.ndimage")
pytest.importorskip("llvmlite")

X = np.array([0.3, 1.2, 2.5, 0.7, 1.9, 3.1])
Y = np.array([0.1, 0.8, 1.7, 0.9, 1.1, 2.6])
T = np.sort(X)
A = np.array([[0.3, 1.2], [2.5, 0.7], [1.9, 3.1]])
B = np.array([[1.3, 0.2], [0.5, 1.7]])
OUTSIDE = ip.CubicSpline(T, Y)


def spline(y):
    f = ip.CubicSpline(T, y)
    total = 0.0
    for k in range(4):
        total += f(0.5 * k) * y[k]
    return total + f(1.1, 1) + f.c[0, 0]


PROGRAMS = {
    "lfilter": (lambda x: (sg.lfilter([0.5, 0.3], [1.0, -0.4], x) ** 2).sum(), X),
    "butter and filtfilt": (
        lambda x: (sg.filtfilt(*sg.butter(2, 0.3), np.concatenate((x, x, x))) ** 2).sum(),
        X,
    ),
    "convolve": (lambda x: (sg.convolve(x, x[:3], mode="same") ** 2).sum(), X),
    "savgol_filter": (lambda x: (sg.savgol_filter(x, 5, 2) ** 2).sum(), X),
    "cdist": (lambda a: sd.cdist(a, B * a[0, 0]).sum(), A),
    "gaussian_filter": (lambda a: (nd.gaussian_filter(a, 1.0) ** 2).sum(), A),
    "map_coordinates": (lambda a: nd.map_coordinates(a, [[0.5, 1.2], [0.3, 0.8]], order=1).sum(), A),
    "pearsonr": (lambda x: st.pearsonr(x, Y).statistic, X),
    "linregress": (lambda x: st.linregress(x, Y).slope, X),
    "linregress taken apart": (lambda x: sum(st.linregress(x, Y)[:2]), X),
    "zscore": (lambda x: (st.zscore(x) ** 3).sum(), X),
    "ttest_ind": (lambda x: st.ttest_ind(x, Y).pvalue, X),
    "gaussian_kde": (lambda x: st.gaussian_kde(x)(Y).sum(), X),
    "CubicSpline": (spline, Y),
    "a spline from outside": (lambda x: OUTSIDE(x[0]) + OUTSIDE(x).sum(), X),
    "PchipInterpolator": (lambda y: ip.PchipInterpolator(T, y)(1.0) * 2, Y),
    "make_interp_spline": (lambda y: ip.make_interp_spline(T, y)(np.array([1.0, 1.5])).sum(), Y),
    "emath": (lambda x: np.emath.sqrt(x).sum() + np.emath.power(x[0], 1.5), X),
    "emath of negative numbers": (lambda x: (np.emath.sqrt(-x) * (1 - 2j)).real.sum() * x[0], X),
    "emath of complex numbers": (lambda x: abs(np.emath.log(x * (1 + 2j)).sum()), X),
    "RegularGridInterpolator": (
        lambda a: ip.RegularGridInterpolator((np.arange(3.0), np.arange(2.0)), a)(np.array([[0.5, 0.3]]))[0],
        A,
    ),
}


def runs(call):
    """The code of the Python functions that run during a call."""
    found = set()
    sys.setprofile(lambda frame, event, arg: found.add(frame.f_code) if event == "call" else None)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_gradient(name):
    f, x = PROGRAMS[name]
    value, slope = tl.jit(f), tl.jit(tl.grad(f))
    for _ in range(3):  # the first calls find out what SciPy gives
        got = value(x)
        assert type(got) is type(f(x))
        np.testing.assert_allclose(got, f(x), rtol=1e-12)
        np.testing.assert_allclose(slope(x), tl.grad(f)(x), rtol=1e-9, atol=1e-12)
    for compiled in (value, slope):
        assert f.__code__ not in runs(lambda compiled=compiled: compiled(x))


@pytest.mark.parametrize("name", ["pdf", "logpdf", "cdf", "sf", "logcdf"])
def test_frozen_distributions(name):
    def f(x):
        return (getattr(st.norm(x[0], scale=x[1]), name)(Y) * Y).sum()

    np.testing.assert_allclose(tl.jit(f)(X), f(X), rtol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(X), tl.grad(f)(X), rtol=1e-10)


def test_random_numbers_are_drawn_once():
    def f(x):
        return st.norm.rvs(loc=x, size=3).sum() + np.random.normal()

    compiled = tl.jit(f)
    np.random.seed(3)
    want = [f(1.0) for _ in range(4)]
    np.random.seed(3)
    np.testing.assert_allclose([compiled(1.0) for _ in range(4)], want)


def test_an_object_that_cannot_be_taken_apart_is_refused():
    with pytest.raises(tl.TapelessError, match="object of class RBFInterpolator"):
        for _ in range(2):
            tl.jit(lambda y: ip.RBFInterpolator(T[:, None], y)(np.array([[1.0]]))[0])(Y)


def test_what_an_object_shares_with_its_arguments():
    def f(y):
        x, values = T.copy(), y * 1.0
        made = ip.PPoly(values.reshape(2, 3), np.array([0.0, 1.0, 2.0, 3.0]))
        before = made(1.5)
        values[:] *= 2.0  # the polynomial has this memory
        return made(1.5) - before + x[0]

    for _ in range(3):
        np.testing.assert_allclose(tl.jit(f)(Y), f(Y), rtol=1e-12)
        np.testing.assert_allclose(tl.jit(tl.grad(f))(Y), tl.grad(f)(Y), rtol=1e-10)


class Slotted:
    __slots__ = ("a", "__dict__")

    def __init__(self, a, b):
        self.a, self.b = a, b


def test_objects_with_slots_and_a_dict_keep_what_they_hold():
    made = Slotted(np.arange(3.0), 2.0)

    def f(x, o):
        o.b = o.b + 1.0
        o.a = o.a * 2.0
        return x * o.a.sum()

    assert tl.jit(f)(2.0, made) == 12.0
    assert (made.a.tolist(), made.b) == ([0.0, 2.0, 4.0], 3.0)
