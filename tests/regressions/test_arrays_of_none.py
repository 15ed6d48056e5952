"""Arrays of None, descriptors of None and ufuncs of Numba, in programs that are differentiated."""

import inspect

import numpy as np
import pytest
import scipy.optimize

import tapeless as tl


def test_an_array_of_none():
    def f(x):
        held = [x]
        empty = np.atleast_2d(np.asarray(None))
        return held[0] * empty.size

    assert tl.grad(f)(2.0) == 1.0


def test_a_descriptor_of_none():
    def f(x):
        held = [x]
        return held[0] * (inspect.getattr_static(None, "missing", 3.0))

    assert tl.grad(f)(2.0) == 3.0


def test_minimize_with_its_gradient():
    def f(a):
        found = scipy.optimize.minimize(
            lambda x: (x[0] - a) ** 2 + x[0] ** 4,
            np.array([0.5]),
            method="BFGS",
            jac=lambda x: np.array([2 * (x[0] - a) + 4 * x[0] ** 3]),
        )
        return found.x[0]

    x = f(1.2)
    assert tl.grad(f)(1.2) == pytest.approx(2 / (2 + 12 * x**2), rel=1e-3)


def towards_zero(x):
    if x >= 0:
        return np.floor(x) + 0.5 * x
    return np.ceil(x)


def test_ufuncs_of_numba():
    rounded = pytest.importorskip("numba").vectorize(towards_zero)
    assert tl.grad(lambda x: rounded(2.5) * x)(1.5) == rounded(2.5)
    assert tl.grad(rounded)(1.5) == 0.5
    assert np.array_equal(tl.grad(lambda x: rounded(x).sum())(np.array([1.5, -2.5])), [0.5, 0.0])
