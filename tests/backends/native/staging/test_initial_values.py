"""`solve_ivp` with t_eval, dense_output and events, compiled."""

import numpy as np
import pytest
from scipy.integrate import OdeSolution, solve_ivp

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.staging import stage
from tapeless.backends.native.staging.base import Replay

from .staged import outcome, same

Y0 = np.array([1.0, 0.0])


def spring(t, y, k=1.7):
    return np.array([y[1], -k * y[0] - 0.1 * y[1]])


def crossing(t, y):
    return y[0]


def falling(t, y):
    return y[0] - 0.2


falling.direction = -1


def second(t, y):
    return y[1]


second.terminal = 2


def late(t, y):
    return t - 100.0


def solved(k, **how):
    return solve_ivp(lambda t, y: spring(t, y, k), (0.0, 3.0), Y0 * k, **how)


def at_times(k):
    s = solved(k, t_eval=np.linspace(0, 3, 9) * 0.9)
    return (s.y[0] * s.t).sum() + s.nfev


def backwards(k):
    return solve_ivp(spring, (3.0, k), Y0, method="RK23", t_eval=[3.0, 2.0, 1.9], args=(k,)).y[1].sum()


def interpolated(k):
    s = solved(k, dense_output=True, t_eval=np.array([0.3, 2.0]))
    return s.sol(1.3)[0] * s.sol(np.array([0.0, 2.9, 1.3, k])).sum() + s.sol.t_max * s.y.sum()


def crossings(k):
    s = solved(k, events=[crossing, falling, late])
    return s.t_events[0].sum() * s.t_events[1][0] + len(s.t_events[2]) + s.y[0, -1]


def stopped(k):
    s = solved(k, events=(crossing, second), t_eval=np.linspace(0, 3, 30), rtol=1e-6)
    return s.status + s.t_events[1][1] + s.t_events[0].sum() + s.t[-1] * s.y[0].sum() + s.y_events[0][0, 1]


def stopped_dense(k):
    s = solved(k, events=second, dense_output=True)
    return s.t[-1] * s.y[0, -1] + s.sol(s.t[-1])[0] + s.sol.t_max


def replays(f, k):
    """Whether the nest leaves the call to the plain program."""
    staged = stage(f, (k,))
    try:
        show.python(staged.function)(*staged.parameters((k,), {}))
    except Replay:
        return True
    return False


@pytest.mark.parametrize("f", [at_times, backwards, interpolated, crossings, stopped, stopped_dense])
def test_values_and_derivatives(f):
    k = 1.7
    assert tl.jit(f)(k) == pytest.approx(f(k), rel=1e-12)
    assert not replays(f, k)
    slope = tl.jit(tl.grad(f))(k)
    if f in (at_times, backwards, interpolated):
        assert slope == pytest.approx(tl.grad(f)(k), rel=1e-11)
        assert tl.jit(lambda k: tl.jvp(f, (k,), (1.0,)))(k)[1] == pytest.approx(slope, rel=1e-11)
    else:
        fixed = (f(k + 1e-6) - f(k - 1e-6)) / 2e-6
        assert slope == pytest.approx(fixed, rel=1e-6)


def oscillation(k):
    """Its first zero is pi / (2 sqrt(k))."""
    s = solve_ivp(
        lambda t, y: np.array([y[1], -k * y[0]]), (0.0, 3.0), Y0, events=crossing, rtol=1e-11, atol=1e-12
    )
    return s.t_events[0][0]


def test_derivatives_of_the_time_of_an_event():
    k = 1.7
    assert tl.jit(oscillation)(k) == pytest.approx(oscillation(k), rel=1e-13)
    exact = np.pi / 2 * k**-0.5
    assert tl.jit(tl.grad(oscillation))(k) == pytest.approx(-exact / (2 * k), rel=1e-6)
    assert tl.jit(tl.grad(tl.grad(oscillation)))(k) == pytest.approx(3 * exact / (4 * k * k), rel=1e-4)


def wrong_times(k):
    return solved(k, t_eval=[0.0, 5.0]).y[0, 0]


def no_step(k):
    return solve_ivp(spring, (1.0, 1.0), Y0 * k, dense_output=True).y[0, 0]


def no_time(k):
    return solved(k, t_eval=[]).t


def whole(k):
    s = solved(k, t_eval=np.array([1.0, 2.0]), events=[crossing, late])
    return s.t, s.y, s.t_events, s.y_events, s.status, s.message, s.success, s.nfev, s.sol


@pytest.mark.parametrize("f", [wrong_times, no_step, no_time, whole])
def test_what_is_seldom_met(f):
    want, got = outcome(f, (1.7,)), outcome(tl.jit(f), (1.7,))
    assert want[1] == got[1]
    assert same(want[0], got[0])


def test_the_solution_comes_out():
    def whole_solution(k):
        return solved(k, dense_output=True).sol

    got, want = tl.jit(whole_solution)(1.7), whole_solution(1.7)
    assert type(got) is type(want)
    np.testing.assert_allclose(got(0.5), want(0.5), rtol=1e-12)
    assert tl.jit(lambda k: k * isinstance(whole_solution(k), OdeSolution))(1.5) == 1.5
