"""Interpolation: SciPy's piecewise polynomials, splines and grids, by data, knots and places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

si = pytest.importorskip("scipy.interpolate")

X = np.array([0.0, 0.8, 1.7, 2.9, 4.0, 5.2, 6.0])
Y = np.cos(X) + 0.1 * X
Q = np.array([0.3, 1.1, 3.7, 5.9, 2.9001])
OUTSIDE = np.array([-1.0, 3.0, 7.5])
INNER = np.array([1.5, 3.1])
C = np.array([0.3, -1.0, 2.0, 0.5, 1.2, -0.3])
VALUES = np.cos(np.arange(20.0)).reshape(4, 5)
DOWN, ACROSS = np.array([0.0, 1.0, 2.5, 3.0]), np.linspace(0.0, 4.0, 5)
POINTS = np.array([[0.3, 1.2], [2.7, 3.9], [1.5, 0.1]])


def of_knots(t: Any, c: Any, k: int = 3) -> Any:
    return si.BSpline(np.concatenate((np.zeros(k + 1), t, np.full(k + 1, 6.0))), c, k)


CASES: list[tuple[str, Any, Any]] = [
    *[
        (f"CubicSpline {bc}", lambda x, y, q, bc=bc: si.CubicSpline(x, y, bc_type=bc)(q), (X, Y, Q))
        for bc in ("not-a-knot", "natural", "clamped")
    ],
    ("CubicSpline derivative", lambda x, y, q: si.CubicSpline(x, y)(q, 1), (X, Y, Q)),
    ("CubicSpline rows", lambda x, y, q: si.CubicSpline(x, np.stack((y, y * y), 1))(q), (X, Y, Q)),
    ("CubicSpline beyond", lambda x, y: si.CubicSpline(x, y)(7.0), (X, Y)),
    ("CubicSpline integral", lambda x, y, a, b: si.CubicSpline(x, y).integrate(a, b), (X, Y, 0.3, 4.4)),
    ("CubicSpline antiderivative", lambda x, y, q: si.CubicSpline(x, y).antiderivative()(q), (X, Y, Q)),
    ("CubicHermiteSpline", lambda x, y, q: si.CubicHermiteSpline(x, y, y * 0.3)(q), (X, Y, Q)),
    ("PchipInterpolator", lambda x, y, q: si.PchipInterpolator(x, y)(q), (X, Y, Q)),
    ("Akima1DInterpolator", lambda x, y, q: si.Akima1DInterpolator(x, y)(q), (X, Y, Q)),
    *[
        (f"make_interp_spline {k}", lambda x, y, q, k=k: si.make_interp_spline(x, y, k=k)(q), (X, Y, Q))
        for k in (1, 2, 3, 5)
    ],
    ("make_interp_spline natural", lambda y, q: si.make_interp_spline(X, y, bc_type="natural")(q), (Y, Q)),
    *[(f"BSpline {nu}", lambda t, c, q, nu=nu: of_knots(t, c)(q, nu=nu), (INNER, C, Q)) for nu in range(4)],
    ("BSpline integral", lambda t, c, b: of_knots(t, c).integrate(0.3, b), (INNER, C, 4.0)),
    ("interp1d linear", lambda x, y, q: si.interp1d(x, y)(q), (X, Y, Q)),
    ("interp1d cubic", lambda x, y, q: si.interp1d(x, y, kind="cubic")(q), (X, Y, Q)),
    *[
        (f"splrep {k}", lambda x, y, q, k=k: si.splev(q, si.splrep(x, y, k=k)), (X, Y, Q))
        for k in (1, 2, 3, 4)
    ],
    ("splrep knots", lambda x, y, q, t: si.splev(q, si.splrep(x, y, t=t)), (X, Y, Q, np.array([2.0, 4.0]))),
    ("splev derivative", lambda x, y, q: si.splev(q, si.splrep(x, y), der=1), (X, Y, Q)),
    ("splev ext=1", lambda y, q: si.splev(q, si.splrep(X, y), ext=1), (Y, OUTSIDE)),
    ("splev ext=3", lambda y, q: si.splev(q, si.splrep(X, y), ext=3), (Y, OUTSIDE)),
    ("splint", lambda x, y, a: si.splint(a, 4.0, si.splrep(x, y)), (X, Y, 0.7)),
    ("InterpolatedUnivariateSpline", lambda x, y, q: si.InterpolatedUnivariateSpline(x, y)(q), (X, Y, Q)),
    *[
        (
            f"RegularGridInterpolator {m}",
            lambda v, p, m=m: si.RegularGridInterpolator((DOWN, ACROSS), v, method=m)(p),
            (VALUES, POINTS),
        )
        for m in ("linear", "nearest", "pchip")
    ],
    ("a grid", lambda g, v: si.RegularGridInterpolator((g, ACROSS), v)(POINTS), (DOWN, VALUES)),
    ("a line", lambda v, p: si.RegularGridInterpolator((ACROSS,), v[0])(p), (VALUES, POINTS[:, :1].copy())),
    ("interpn", lambda v, p: si.interpn((DOWN, ACROSS), v, p), (VALUES, POINTS)),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_interpolation(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=1)


def test_second_order() -> None:
    tl.check_grads(lambda y, q: np.sum(si.CubicSpline(X, y)(q) ** 2), (Y, Q), order=2)
    tl.check_grads(lambda t, c, q: np.sum(of_knots(t, c)(q) ** 2), (INNER, C, Q), order=2)


def test_smoothing_is_refused() -> None:
    with pytest.raises(tl.TapelessError, match="smoothing splines"):
        tl.grad(lambda y: si.splev(2.0, si.splrep(X, y, s=0.1)) * 1.0)(Y)
    with pytest.raises(tl.TapelessError, match="smoothing splines"):
        tl.grad(lambda y: si.UnivariateSpline(X, y, s=0.1)(2.0) * 1.0)(Y)


def test_lagrange_with_a_datum_of_zero() -> None:
    """SciPy leaves its term out: its derivative was zero, silently."""

    def f(x, y, at):
        return si.lagrange(x, y)(at)

    x, y = np.array([0.1, 1.0, 2.2]), np.array([0.0, 1.0, 3.0])
    tl.check_grads(f, (x, y, 0.5), order=2)
    assert tl.value_and_grad(lambda a: si.lagrange([0.0, 1.0], [a, 2.0])(0.5))(0.0) == (1.0, 0.5)
    with pytest.raises(tl.TapelessError, match="of a lower degree"):
        tl.grad(f, argnums=1)(x, x, 0.5)
