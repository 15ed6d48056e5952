"""Neighbours of floats and decimals, compiled: they have NumPy's and Python's very bits."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check

LEAST, MOST = 5e-324, 1.7976931348623157e308


def floats():
    rng = np.random.default_rng(3)
    found = [
        0.0,
        -0.0,
        LEAST,
        3 * LEAST,
        1.0,
        1.5,
        2.0**-1022,
        2.0**-1021,
        2.0**-970,
        2.0**-969,
        0.1,
        math.pi,
    ]
    found += [MOST, math.inf, math.nan, 2.0**53, 1e22]
    found += list(np.ldexp(rng.random(200) + 0.5, rng.integers(-1073, 1024, 200)))
    found += list(2.0 ** np.arange(-1074, 1024, 37))
    return np.array([*found, *(-x for x in found)])


def same_bits(got, want):
    assert got.tobytes() == want.tobytes() or np.array_equal(got.view(np.int64), want.view(np.int64))


def towards(x, y):
    return np.nextafter(x, y)


def test_nextafter():
    x, fast = floats(), tl.jit(towards)
    numbers = ~np.isnan(x)
    for y in (math.inf, -math.inf, 0.0, 1.0, -1.5):
        with np.errstate(over="ignore"):
            expected = np.nextafter(x, y)
        same_bits(fast(x, y)[numbers], expected[numbers])
        assert np.isnan(fast(x, y)[~numbers]).all()
    same_bits(fast(x[numbers], x[numbers]), x[numbers])
    z = np.array([0.0, 0.0, -0.0])
    same_bits(fast(z, -z), np.nextafter(z, -z))
    x = np.array([0.0, 1.0, -3.4028235e38, 1e-45, -1e-45, 1e-38, 2.5], np.float32)
    for y in (np.float32(np.inf), np.float32(-np.inf)):
        with np.errstate(over="ignore"):
            expected = np.nextafter(x, y)
        assert fast(x, y).tobytes() == expected.tobytes()


def test_nextafter_of_numbers():
    after, size = tl.jit(lambda x, y: math.nextafter(x, y)), tl.jit(lambda x: math.ulp(x))
    twice = tl.jit(lambda x: math.nextafter(x, math.inf, steps=2))
    for x in map(float, floats()):
        for y in (math.inf, 0.0, -2.0):
            got, want = after(x, y), math.nextafter(x, y)
            assert repr(got) == repr(want), (x, y)
        assert repr(size(x)) == repr(math.ulp(x)), x
        assert repr(twice(x)) == repr(math.nextafter(math.nextafter(x, math.inf), math.inf))


def decimals(x):
    return [round(x, n) for n in (0, 1, 2, 3, 5, 10, 17, 22)]


def test_round_to_decimals():
    rng = np.random.default_rng(4)
    found = [
        *rng.normal(size=200),
        *(rng.normal(size=100) * 1e6),
        *(np.arange(-40, 40) / 8),
        0.0,
        -0.0,
        -0.04,
    ]
    found += [
        2.675,
        1.005,
        0.15,
        0.25,
        0.35,
        2.5,
        1e300,
        5e-324,
        1e22,
        1234567.125,
        0.5,
        1.5,
        0.285,
        1e15 + 0.3,
    ]
    found += [k / 1000 + 0.0005 for k in range(60)] + [math.inf, -math.inf, math.nan]
    fast = tl.jit(decimals)
    for x in map(float, found):
        assert repr(fast(x)) == repr(decimals(x)), x


def smooth(x):
    return round(x, 2) * x + np.nextafter(x, 10.0) * x


def arrays(x):
    return np.nextafter(x * x, np.inf) - np.round(x, 1)


def test_derivatives():
    check(smooth, 0.317, native=True)
    check(arrays, np.array([0.32, 0.44, -0.78]), native=True)
    with pytest.raises(tl.TapelessError, match="rounded to -1 digits"):
        tl.jit(lambda x: round(x, -1))(12.0)
