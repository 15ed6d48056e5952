"""Functions of SciPy that take functions: integrals, differential equations, roots, minima and fits.

Derivatives are by everything that the function reaches: arguments, what it closes over, and limits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapeless as tl

si = pytest.importorskip("scipy.integrate")
so = pytest.importorskip("scipy.optimize")

P = np.array([1.0, 1.4])
X = np.linspace(0.0, 2.0, 9)
Y = 1.3 * np.exp(-0.7 * X) + 0.05 * np.cos(7 * X)
TIMES = np.linspace(0.0, 2.0, 4)


def pendulum(y: Any, t: Any, b: Any, c: Any) -> Any:
    return [y[1], -b * y[1] - c * math.sin(y[0])]


def filled(y: Any, t: Any, b: Any, c: Any) -> Any:
    dy = np.empty(2)
    dy[0] = y[1]
    dy[1] = -b * y[1] - c * np.sin(y[0])
    return dy


def system(x: Any, p: Any) -> Any:
    return [x[0] + 0.5 * (x[0] - x[1]) ** 3 - p[0], 0.5 * (x[1] - x[0]) ** 3 + x[1] * p[1]]


def valley(x: Any, p: Any) -> Any:
    return (x[0] - p[0]) ** 2 + p[1] * (x[1] - x[0] ** 2) ** 2 + 0.1 * x[1] ** 4


def model(x: Any, a: Any, b: Any) -> Any:
    return a * np.exp(-b * x)


def wave(p: Any) -> Any:
    z = si.quad(lambda x: np.exp(1j * p * x), 0, 1, complex_func=True)[0]
    return z.real * z.imag


def lowest(p: Any, **options: Any) -> Any:
    found = so.minimize(valley, [0.5, 0.5], args=(p,), tol=1e-10, **options)
    return found.x[0] * found.x[1] + found.fun


def fit(y: Any, **options: Any) -> Any:
    found = so.least_squares(
        lambda q: model(X, *q) - y, [1.0, 1.0], xtol=1e-14, ftol=1e-14, gtol=1e-14, **options
    )
    return np.sum(found.x**2) + found.cost + np.sum(found.jac**2) + np.sum(found.fun**2)


EXACT = {"xtol": 1e-13, "ftol": 1e-13}
CASES = [
    (
        "quad args",
        lambda p: si.quad(lambda x, a, b: np.exp(-a * x) * np.cos(b * x), 0, 2, args=(p[0], p[1]))[0],
        (P,),
        2,
    ),
    ("quad closure", lambda p: si.quad(lambda x: math.exp(-p * x * x), 0, 2)[0] ** 2, (0.7,), 2),
    ("quad limits", lambda a, b: si.quad(lambda x: math.exp(-a * x * b), a, b)[0], (0.3, 1.7), 2),
    ("quad flipped", lambda a, b: si.quad(lambda x: math.exp(-a * x * b), b, a)[0], (0.3, 1.7), 1),
    ("quad to infinity", lambda a: si.quad(lambda x: math.exp(-a * x * x), a, np.inf)[0], (0.3,), 2),
    ("quad from infinity", lambda a: si.quad(lambda x: 1 / (1 + a * x * x), -np.inf, a)[0], (0.3,), 1),
    ("quad over all", lambda a: si.quad(lambda x: math.exp(-a * x * x), -np.inf, np.inf)[0], (0.3,), 2),
    ("quad infinite at an end", lambda a: si.quad(lambda x: x ** (-a), 0, 1)[0], (0.5,), 1),
    ("quad infinite at the other", lambda a: si.quad(lambda x: (1 - x) ** (-a), 0, 1)[0], (0.3,), 1),
    ("quad points", lambda a: si.quad(lambda x: abs(x - a) * x, 0, 1, points=[0.3])[0], (0.3,), 1),
    ("quad complex", wave, (0.3,), 1),
    (
        "dblquad",
        lambda a: si.dblquad(lambda y, x: np.exp(-a * x * y), 0, 1, 0, lambda x: a * x)[0],
        (0.3,),
        1,
    ),
    (
        "odeint",
        lambda y0, b, c: np.sum(si.odeint(pendulum, y0, TIMES, args=(b, c)) ** 2),
        (np.array([2.0, 0.1]), 0.25, 5.0),
        1,
    ),
    (
        "odeint filled",
        lambda b, c: np.sum(si.odeint(filled, [2.0, 0.1], TIMES, args=(b, c)) ** 2),
        (0.25, 5.0),
        1,
    ),
    (
        "odeint times",
        lambda t: np.sum(si.odeint(pendulum, [2.0, 0.1], TIMES * t, args=(0.2, 5.0)) ** 2),
        (1.1,),
        1,
    ),
    (
        "odeint tfirst",
        lambda c: np.sum(si.odeint(lambda t, y: [-c * y[0] * t], [1.0], TIMES, tfirst=True)),
        (1.1,),
        1,
    ),
    *[
        (
            name,
            lambda p, q, name=name: getattr(so, name)(lambda x, q: x**3 - p * x - q, 0, 5, args=(q,)) ** 2,
            (1.3, 0.7),
            2,
        )
        for name in ("brentq", "brenth", "ridder", "toms748")
    ],
    (
        "brentq, full output",
        lambda p: so.brentq(lambda x: math.exp(x) - p, 0, 3, full_output=True)[0],
        (2.0,),
        1,
    ),
    ("root_scalar", lambda p: so.root_scalar(lambda x: math.exp(x) - p, bracket=[0, 3]).root, (2.0,), 2),
    ("fsolve", lambda p: np.sum(so.fsolve(system, [0, 0], args=(p,)) ** 2), (P,), 2),
    ("fsolve closure", lambda p: np.sum(so.fsolve(lambda x: system(x, p), [0, 0]) ** 2), (P,), 1),
    (
        "fsolve fprime",
        lambda p: so.fsolve(lambda x: [x[0] ** 2 - p], [1.0], fprime=lambda x: [[2 * x[0]]])[0],
        (2.0,),
        1,
    ),
    *[
        (
            f"root {m}",
            lambda p, m=m: np.sum(so.root(system, [0.1, 0.2], args=(p,), method=m, tol=1e-11).x ** 2),
            (P,),
            1,
        )
        for m in ("hybr", "lm", "broyden1", "df-sane")
    ],
    ("minimize", lowest, (P,), 1),
    ("minimize BFGS", lambda p: lowest(p, method="BFGS"), (P,), 1),
    (
        "minimize jac",
        lambda p: lowest(p, method="Newton-CG", jac=lambda x, p: tl.grad(valley)(x, p)),
        (P,),
        1,
    ),
    ("minimize at a bound", lambda p: lowest(p, bounds=[(None, 0.3), (None, None)]), (P,), 1),
    ("minimize by a bound", lambda p: lowest(P, bounds=[(None, p), (None, None)]), (0.3,), 1),
    ("curve_fit", lambda y: np.sum(so.curve_fit(model, X, y, **EXACT)[0] ** 2), (Y,), 1),
    ("curve_fit covariance", lambda y: np.sum(so.curve_fit(model, X, y, **EXACT)[1]) * 100, (Y,), 1),
    (
        "curve_fit sigma",
        lambda s: np.sum(so.curve_fit(model, X, Y, sigma=s, **EXACT)[0] ** 2),
        (0.1 + 0.05 * X,),
        1,
    ),
    (
        "curve_fit bounds",
        lambda y: np.sum(so.curve_fit(model, X, y, bounds=(0, 5), gtol=1e-13, **EXACT)[0] ** 2),
        (Y,),
        1,
    ),
    ("least_squares", fit, (Y,), 1),
]


@pytest.mark.parametrize(("name", "function", "args", "order"), CASES, ids=[c[0] for c in CASES])
def test_function(name: str, function: Any, args: Any, order: int) -> None:
    tl.check_grads(function, args, order=order)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_loss_is_that_of_the_same_minimum(loss: str) -> None:
    def rho(z: Any) -> Any:
        return {
            "soft_l1": 2 * (np.sqrt(1 + z) - 1),
            "huber": np.where(z <= 1, z, 2 * np.sqrt(z) - 1),
            "cauchy": np.log1p(z),
            "arctan": np.arctan(z),
        }[loss]

    def by_fit(y: Any) -> Any:
        found = so.least_squares(lambda q: model(X, *q) - y, [1.0, 1.0], loss=loss, f_scale=0.3)
        return np.sum(found.x**2) + found.cost

    def by_minimize(y: Any) -> Any:
        def cost(q: Any) -> Any:
            return 0.5 * 0.3**2 * np.sum(rho(((model(X, *q) - y) / 0.3) ** 2))

        found = so.minimize(cost, [1.0, 1.0], tol=1e-9)
        return np.sum(found.x**2) + found.fun

    np.testing.assert_allclose(tl.grad(by_fit)(Y), tl.grad(by_minimize)(Y), rtol=2e-3, atol=1e-4)


def test_minimum_of_one_number() -> None:
    for options in ({}, {"bounds": (0, 2), "method": "bounded"}):

        def place(p: Any, options: Any = options) -> Any:
            return so.minimize_scalar(lambda x: (x - p) ** 2 + 0.1 * x**4, **options).x

        assert tl.grad(place)(1.2) == pytest.approx(2 / (2 + 1.2 * place(1.2) ** 2), rel=1e-6)


def test_kinks_of_an_integrand() -> None:
    assert tl.grad(lambda a: si.quad(lambda x: abs(x - a), 0, 1)[0])(0.3) == pytest.approx(-0.4, abs=1e-6)


def test_integrals_that_are_zero_or_of_noise() -> None:
    calls = []

    def odd(t: Any, a: Any) -> Any:
        calls.append(t)
        return a * t**3 + (a * t) ** 2 * t

    def noisy(t: Any, a: Any) -> Any:
        calls.append(t)
        return a * t * (1.0 + 1e-11 * math.sin(1e9 * t))

    for f, slope, most in ((odd, 0.0, 1000), (noisy, 0.5, 200_000)):
        calls.clear()
        got = tl.grad(lambda a, f=f: si.quad(f, -1.0 if f is odd else 0.0, 1.0, args=(a,))[0])(0.7)
        assert got == pytest.approx(slope, abs=1e-8)
        assert len(calls) < most


def test_stiff_equations() -> None:
    def last(k: Any) -> Any:
        return si.odeint(lambda y, t: [-k * (y[0] - math.cos(t))], [0.0], [0.0, 1.0], mxstep=5000)[-1, 0]

    k = 300.0
    expected = (2 * k * math.cos(1.0) + math.sin(1.0)) / (k * k + 1) - 2 * k * (
        k * k * math.cos(1.0) + k * math.sin(1.0)
    ) / (k * k + 1) ** 2
    assert tl.grad(last)(k) == pytest.approx(expected, rel=1e-3)


def test_what_has_no_derivative_is_refused() -> None:
    with pytest.raises(tl.TapelessError, match="equation that it solves is singular"):
        tl.grad(lambda p: so.brentq(lambda x: (x - p) ** 3, 0, 2))(1.0)
    with pytest.raises(tl.TapelessError, match="does not solve its equation"):
        tl.grad(
            lambda p: so.root(system, [0.1, 0.2], args=(np.array([p, 1.4]),), options={"maxfev": 2}).x[0]
        )(9.0)
    with pytest.raises(tl.TapelessError, match="Use minimize"):
        tl.grad(lambda p: so.fmin(lambda x: (x[0] - p) ** 2, [0.0], disp=0)[0])(1.2)
    with pytest.raises(tl.TapelessError, match="qawoe"):
        tl.grad(lambda p: si.quad(lambda x: math.exp(-p * x), 0, 2, weight="cos", wvar=1.0)[0])(0.3)


def test_the_plain_call_stays_plain() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x)
        return x * x - 2.0

    assert tl.grad(lambda p: p * so.brentq(f, 0, 3))(1.0) == so.brentq(f, 0, 3)
    assert len(calls) == 2 * len(set(calls))


SCALE = 1.0
BOX = [0.0]


def parabola(x: Any) -> Any:
    return x * x - SCALE


def deeper(x: Any) -> Any:
    return parabola(x) + 0.0


def boxed(x: Any) -> Any:
    return x * x - BOX[0]


def test_what_functions_read_by_name() -> None:
    def by_global(p: Any, f: Any) -> Any:
        global SCALE
        SCALE = 2.0 * p
        return so.brentq(f, 0, 5)

    def by_list(p: Any) -> Any:
        BOX[0] = p
        return so.brentq(boxed, 0, 5)

    for f in (parabola, deeper):
        assert tl.grad(by_global)(2.0, f) == pytest.approx(0.5)
    assert tl.grad(by_list)(4.0) == pytest.approx(0.25)
