"""Types and unused parts of SciPy's results, compiled, and derivatives that are refused."""

import math

import numpy as np
import pytest
import scipy.linalg as sl
import scipy.optimize as so
import scipy.special as sc

import tapeless as tl

A = np.array([[4.0, 0.5, -0.2], [0.4, 3.5, 0.3], [-0.6, 0.2, 2.5]])


@pytest.mark.parametrize("order", [None, 1, 2, np.inf, "fro"])
@pytest.mark.parametrize("a", [A, A[0]])
def test_types_of_norms(a, order):
    if a.ndim == 1 and order == "fro":
        return
    wanted, got = sl.norm(a, order), tl.jit(lambda a: sl.norm(a, order))(a)
    assert type(got) is type(wanted)
    assert got == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("lower", [True, False])
def test_the_other_triangle_of_a_factor(lower):
    def f(a):
        return sl.cho_factor(a, lower)[0]

    a = A + A.T
    np.testing.assert_allclose(tl.jit(f)(a), f(a), rtol=1e-12)
    slope = tl.grad(lambda a: np.sum(f(a) * np.arange(9.0).reshape(3, 3)))
    np.testing.assert_allclose(tl.jit(slope)(a), slope(a), rtol=1e-11, atol=1e-12)


def test_derivatives_of_searches_are_those_of_the_minimum():
    """As programs they have the derivative zero."""

    def f(s):
        return so.minimize_scalar(lambda u: (u - 2 * s) ** 2, bracket=(0, 1), method="golden").x

    assert tl.jit(tl.grad(f))(0.7) == pytest.approx(2.0)
    with pytest.raises(tl.TapelessError, match="minimum"):
        tl.jit(tl.grad(lambda s: so.brute(lambda u: (u - s) ** 2, [(0, 1)])))(0.7)


def test_logsumexp_with_weights():
    b, m = np.array([1.0, 0.0, -0.3, 2.0]), np.arange(6.0).reshape(2, 3) / 3
    programs = [
        (lambda x: sc.logsumexp(x, b=b), np.array([0.3, 1.2, 2.5, 0.7])),
        (lambda m: (sc.logsumexp(m, axis=0, b=m + 1, keepdims=True) ** 2).sum(), m),
    ]
    for f, x in programs:
        np.testing.assert_allclose(tl.jit(f)(x), f(x), rtol=1e-13)
        np.testing.assert_allclose(tl.jit(tl.grad(f))(x), tl.grad(f)(x), rtol=1e-10)


def test_i0_of_numpy():
    x = np.array([0.0, -1.2, 7.9, 8.0, 30.0])
    f = lambda x: (np.i0(x) * np.exp(-x)).sum()  # noqa: E731
    np.testing.assert_allclose(tl.jit(np.i0)(x), np.i0(x), rtol=1e-14)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(x), tl.grad(f)(x), rtol=1e-9)
    assert type(tl.jit(np.i0)(1.0)) is np.ndarray


def test_distances_that_are_large_and_integers_that_do_not_fit():
    far = tl.jit(lambda x: math.dist([x, 0.0], [0.0, x]))
    assert far(1e308) == math.dist([1e308, 0.0], [0.0, 1e308])
    assert far(1e-200) == math.dist([1e-200, 0.0], [0.0, 1e-200])

    def put(a):
        np.putmask(a, a == 0, 300)

    with pytest.raises(OverflowError, match="300"):
        tl.jit(put)(np.zeros(3, np.int8))
