"""Minima under constraints: the derivative is that of the conditions with multipliers."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl

so = pytest.importorskip("scipy.optimize")

TIGHT = {"ftol": 1e-14}
COVARIANCE = np.array([[0.1, 0.02, 0.01], [0.02, 0.08, 0.0], [0.01, 0.0, 0.06]])


def portfolio(returns, total):
    sums = {"type": "eq", "fun": lambda w: np.sum(w) - total}
    found = so.minimize(
        lambda w: w @ COVARIANCE @ w - returns @ w,
        np.ones(3) / 3,
        jac=lambda w: 2 * COVARIANCE @ w - returns,
        constraints=sums,
        options=TIGHT,
    )
    return found.x, found.fun


def three_sides(a, b):
    sides = [
        {"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + b},
        {"type": "ineq", "fun": lambda x: -x[0] - 2 * x[1] + 6},
        {"type": "ineq", "fun": lambda x, c: -x[0] + 2 * x[1] + c, "args": (b,)},
    ]
    bounds = ((0, None), (0, None))
    found = so.minimize(
        lambda x: (x[0] - a) ** 2 + (x[1] - 2.5) ** 2,
        [2.0, 0.0],
        jac=lambda x: np.array([2 * (x[0] - a), 2 * (x[1] - 2.5)]),
        bounds=bounds,
        constraints=sides,
        options=TIGHT,
    )
    return found.x


def half_plane(matrix, most):
    below = so.LinearConstraint(matrix, -np.inf, most)
    return so.minimize(
        lambda x: np.sum((x - np.array([1.0, 2.0])) ** 2) + x[0] ** 4,
        [0.1, 0.1],
        jac=lambda x: 2 * (x - np.array([1.0, 2.0])) + np.array([4 * x[0] ** 3, 0.0]),
        method="SLSQP",
        constraints=below,
        options={"ftol": 1e-12},
    ).x


def in_a_circle(radius):
    inside = so.NonlinearConstraint(lambda x: x[0] ** 2 + x[1] ** 2, -np.inf, radius)
    return so.minimize(
        lambda x: x[0] + 2 * x[1], [-0.5, -0.6], method="SLSQP", constraints=inside, options=TIGHT
    ).x


def out_of_reach(a):
    far = {"type": "ineq", "fun": lambda x: 10 - x[0]}
    return so.minimize(
        lambda x: (x[0] - a) ** 2 + (x[1] * a - 1) ** 2,
        [0.1, 0.1],
        jac=lambda x: np.array([2 * (x[0] - a), 2 * a * (x[1] * a - 1)]),
        constraints=far,
        options=TIGHT,
    ).x


def at_a_bound(a, most):
    sums = {"type": "eq", "fun": lambda x: x[0] + x[1] + x[2] - 2 * most}
    bounds = [(None, most), (None, None), (None, None)]
    return so.minimize(
        lambda x: (x[0] - a) ** 2 + (x[1] - a) ** 2 + x[2] ** 2 * a,
        [0.1, 0.1, 0.2],
        jac=lambda x: np.array([2 * (x[0] - a), 2 * (x[1] - a), 2 * x[2] * a]),
        bounds=bounds,
        constraints=sums,
        options=TIGHT,
    ).x


CASES = [
    (portfolio, (np.array([0.05, 0.07, 0.03]), 1.1)),
    (three_sides, (1.0, 2.0)),
    (half_plane, (np.array([[1.0, 1.2]]), 1.5)),
    (in_a_circle, (1.5,)),
    (out_of_reach, (1.5,)),
    (at_a_bound, (1.5, 0.4)),
]


@pytest.mark.parametrize(("f", "args"), CASES, ids=[c[0].__name__ for c in CASES])
def test_minimum(f, args):
    tl.check_grads(f, args, order=1, rtol=1e-4)


def test_second_order():
    found = tl.hessian(lambda r: in_a_circle(r)[0])(1.5)
    assert found == pytest.approx(1 / (4 * 5**0.5 * 1.5**1.5), rel=1e-4)  # x = -sqrt(r / 5)


def test_a_fit_at_its_bound():
    t = np.linspace(0.0, 2.0, 9)

    def f(y, least):
        def residuals(p):
            return p[0] * np.exp(-p[1] * t) + p[2] - y

        return so.least_squares(residuals, [1.0, 1.0, 0.1], bounds=([0, 0, least], [5, 5, 5])).x

    y = 1.3 * np.exp(-0.7 * t) - 0.3 + 0.01 * np.cos(9 * t)
    tl.check_grads(f, (y, 0.05), order=1, rtol=1e-3)
