"""SciPy's `solve_ivp`, as it is: compiled with its steps, its errors and its derivatives."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from scipy.integrate import solve_ivp

import tapeless as tl

Y = np.array([1.0, 0.2])


def pendulum(t, y):
    return np.array([y[1], -np.sin(y[0])])


def driven(t, y, strength):
    return [y[1], -np.sin(y[0]) + strength * np.cos(t)]


def end(y0, time):
    return np.sum(solve_ivp(pendulum, (0.0, time), y0, rtol=1e-7).y[:, -1])


def with_arguments(y0, strength):
    sol = solve_ivp(driven, (0.0, 3.0), y0, method="RK23", args=(strength,), rtol=1e-5, atol=1e-7)
    return sol.y[0, -1] * sol.t[1] + np.sum(sol.y**2)


def high_order(y0, time):
    sol = solve_ivp(pendulum, [0.0, time], y0, method="DOP853", rtol=1e-9, atol=1e-9)
    return sol.y[1, -1]


def backwards(y0, time):
    return solve_ivp(pendulum, (time, 0.0), y0, max_step=0.5).y[0, -1]


@pytest.mark.parametrize(
    ("f", "others"),
    [(end, (5.0, 2.0)), (with_arguments, (0.3, 0.5)), (high_order, (4.0, 1.0)), (backwards, (2.0, 3.0))],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_values_and_gradients(f, others):
    fast, slope = tl.jit(f), tl.jit(tl.grad(f))
    for other in others:
        assert fast(Y, other) == pytest.approx(f(Y, other), rel=1e-10)
        np.testing.assert_allclose(slope(Y, other), tl.grad(f)(Y, other), rtol=1e-8)
    assert len(fast.entries) == 1


def whole(y0, time):
    sol = solve_ivp(pendulum, (0.0, time), y0)
    return sol.t, sol.y, sol.nfev, sol.status, sol.message, sol.success


def test_results():
    fast = tl.jit(whole)
    for time in (5.0, 1.0, 0.0):
        for got, want in zip(fast(Y, time), whole(Y, time), strict=True):
            assert type(got) is type(want)
            if isinstance(want, np.ndarray):
                np.testing.assert_allclose(got, want, rtol=1e-11)
            else:
                assert got == want
    got = tl.jit(lambda y: solve_ivp(pendulum, (0.0, 1.0), y))(Y)
    assert type(got) is type(solve_ivp(pendulum, (0.0, 1.0), Y))


def test_failures():
    def exploding(t, y):
        return y * y

    def f(y0):
        sol = solve_ivp(exploding, (0.0, 10.0), y0)
        return sol.status, sol.message

    assert tl.jit(f)(Y) == f(Y)
    with pytest.raises(ValueError, match="must be finite"):
        tl.jit(f)(np.array([np.nan]))
