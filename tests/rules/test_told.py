"""What functions of SciPy tell beside their results, and calls whose formulas must not be taken on trust."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import MissingRuleError
from tapeless.rules import twins
from tapeless.rules.twins import exactly

si = pytest.importorskip("scipy.integrate")
so = pytest.importorskip("scipy.optimize")
sp = pytest.importorskip("scipy.interpolate")
nd = pytest.importorskip("scipy.ndimage")
sl = pytest.importorskip("scipy.linalg")
ss = pytest.importorskip("scipy.signal")
sc = pytest.importorskip("scipy.special")
sparse = pytest.importorskip("scipy.sparse")

P = np.array([1.0, 1.4])
X = np.array([0.0, 0.7, 1.5, 2.3, 3.1, 4.0, 4.6])
Y = np.sin(X) + 0.1 * X**2
Q = np.array([0.2, 1.1, 2.31, 3.9, -0.3, 4.9])
IMAGE = np.cos(np.arange(30.0) ** 1.3).reshape(5, 6)
BANDS = np.array([[0.1, 0.3, 0.4, 0.2], [4.0, 5.0, 3.0, 4.0]])


def system(x: Any, p: Any) -> Any:
    return [x[0] + 0.5 * (x[0] - x[1]) ** 3 - p[0], 0.5 * (x[1] - x[0]) ** 3 + x[1] * p[1]]


def valley(x: Any, p: Any) -> Any:
    return (x[0] - p[0]) ** 2 + p[1] * (x[1] - x[0] ** 2) ** 2 + 0.1 * x[1] ** 4


def crossing(x: Any, p: Any) -> Any:
    return math.exp(x) - p


def lowest(p: Any, **options: Any) -> Any:
    return so.minimize(valley, [0.5, 0.5], args=(p,), tol=1e-9, **options)


def robust(p: Any) -> Any:
    return so.least_squares(lambda q: q[0] * np.exp(-X * p[1]) - p[0] * Y, [1.0], loss="soft_l1")


UNTOLD = [
    ("hess_inv", lambda p: np.sum(lowest(p).hess_inv)),
    ("hess_inv", lambda p: np.sum(lowest(p, method="L-BFGS-B").hess_inv.todense())),
    ("jac", lambda p: np.sum(lowest(p).jac)),
    ("jac", lambda p: np.sum(robust(p).jac)),
    ("fjac", lambda p: np.sum(so.fsolve(system, [0.1, 0.2], args=(p,), full_output=True)[1]["fjac"])),
    ("fjac", lambda p: np.sum(so.root(system, [0.1, 0.2], args=(p,), method="lm")["fjac"])),
    ("error", lambda p: si.quad(lambda x: math.exp(-p[0] * x), 0, 1)[1]),
    ("rlist", lambda p: si.quad(lambda x: math.exp(-p[0] * x), 0, 1, full_output=True)[2]["rlist"][0]),
    ("hu", lambda p: si.odeint(lambda y, t: -p[0] * y, [1.0], [0, 1.0], full_output=True)[1]["hu"][0]),
]


@pytest.mark.parametrize(("what", "f"), UNTOLD)
def test_what_is_not_known_is_refused_where_it_is_used(what: str, f: Any) -> None:
    with pytest.raises(MissingRuleError, match=what):
        tl.grad(f)(P)
    assert np.isnan(tl.jvp(f, (P,), (np.ones(2),))[1])


def test_what_is_not_used_is_not_asked_for() -> None:
    def f(p: Any) -> Any:
        found = so.minimize(lambda x: (x[0] - p[0]) ** 2 + p[1] * x[1] ** 2, [0.5, 0.5])
        return found.x[0] ** 2 if np.max(np.abs(found.jac)) < 1e-4 else 0.0

    np.testing.assert_allclose(tl.grad(f)(P), [2.0, 0.0], atol=1e-5)


def test_a_fit_that_does_not_converge_raises_what_scipy_raises() -> None:
    def fitted(y: Any) -> Any:
        return np.sum(so.curve_fit(lambda x, a, b: a * np.exp(-b * x), X, y, [1.0, 1.0], maxfev=3)[0])

    with pytest.raises(RuntimeError, match="Optimal parameters not found"):
        tl.grad(fitted)(Y)


def test_results_that_are_not_those_of_the_formula_are_refused() -> None:
    for value, formula in ((1.0, 1.2), (np.ones(3), np.ones((3, 3))), (np.ones(2), np.array([1.0, 2.0]))):
        with pytest.raises(MissingRuleError, match="known formula"):
            exactly(value, formula)
    assert twins.agree(np.array([np.nan, 1.0]), np.array([2.0, 1.0 + 1e-9]))


def splined(x: Any, y: Any, q: Any) -> Any:
    s = sp.make_interp_spline(x, y)
    return s.derivative()(q) + s.derivative(2)(q) + s.antiderivative()(q)


CASES = [
    ("partial", lambda p: so.brentq(functools.partial(crossing, p=p), 0, 3), (2.0,), 2),
    ("keyword default", lambda p: so.brentq(lambda x, *, p=p: math.exp(x) - p, 0, 3), (2.0,), 2),
    ("lru_cache", lambda p: so.brentq(functools.lru_cache(lambda x: math.exp(x) - p), 0, 3), (2.0,), 2),
    ("splines of splines", lambda x, y, q: np.sum(splined(x, y, q)), (X, Y, Q), 1),
    ("basis element", lambda t, q: np.sum(sp.BSpline.basis_element(t)(q) ** 2), (X[:5] * 1.1, Q), 1),
    ("residual", lambda y: sp.splrep(X, y, t=[2.0], full_output=1)[1], (Y,), 1),
    ("odeint number", lambda p: np.sum(si.odeint(lambda y, t: -p * y, 1.0, [0, 1.0])), (0.7,), 1),
    *[
        (f"filter {m}", lambda x, m=m: np.sum(nd.gaussian_filter(x, 0.8, mode=m, cval=0.3) ** 2), (IMAGE,), 1)
        for m in ("grid-wrap", "grid-constant")
    ],
    ("diagonal", lambda m: np.sum(nd.affine_transform(IMAGE, m, 0.2) ** 2), (np.array([0.9, 1.13]),), 1),
    ("empty filter", lambda x: np.sum(nd.gaussian_filter(x, 1.0)), (np.zeros((0, 3)),), 1),
    ("corner", lambda b: np.sum(sl.cholesky_banded(b) ** 2), (BANDS,), 1),
    (
        "states",
        lambda x, z: np.sum(ss.lfilter([0.3], [1.0, 0.5, 0.1], x, zi=z)[0] ** 2),
        (IMAGE, np.ones((1, 2))),
        1,
    ),
    ("medians", lambda x: np.sum(ss.medfilt2d(input=x, kernel_size=3) ** 2), (IMAGE,), 1),
    ("sum of diagonals", lambda d: sparse.dia_matrix((d, [0, 1]), shape=(4, 4)).sum() ** 2, (BANDS,), 1),
    ("fdtr by one", lambda d: sc.fdtr(3.0, d, 0.5) + sc.fdtr(2.0, 3.0, d / 6), (3.0,), 2),
    ("inv_boxcox1p by one", lambda m: sc.inv_boxcox1p(0.7, m), (0.5,), 2),
    ("rgamma of a number", lambda x: sc.rgamma(x) ** 2 + sc.rgamma(x), (-1.0,), 2),
    ("elliptic where the formula divides by 0", lambda m: sc.ellipk(m * 0.5) * 1.0, (0.6,), 1),
    ("hypot of one number", lambda x: math.hypot(x) * math.hypot(x, 2.0), (3.0,), 2),
    ("rgamma", lambda x: np.sum(sc.rgamma(x) ** 2 + sc.rgamma(x)), (np.array([0.0, -1.0, -2.0, 2.0]),), 2),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_derivatives(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=case[3])


def test_a_remembered_value_has_the_derivative_of_the_argument_asked_for() -> None:
    def f(x: Any) -> Any:
        square = functools.lru_cache(lambda y: y * y * x)
        return square(2.0) + 3 * square(x) + square(x * 1.0) + square(x)

    tl.check_grads(f, (2.0,), order=2)
