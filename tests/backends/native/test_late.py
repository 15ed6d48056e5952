"""Failures of numbers are looked for after their loop, and are raised as if they were found in it."""

import math

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.late import late
from tapeless.backends.native.nest import Check, For, Function
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.sums import sums
from tapeless.backends.native.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def looks(fn: Function) -> int:
    """How many loops look for failures and are no second try."""
    return sum(isinstance(s, For) and any(isinstance(x, Check) for x in s.body) for s in fn.body)


def call(x, sigma):
    total = 0.5
    for i in range(x.shape[0]):
        final = 2.0 * math.exp(sigma * x[i])
        if final > 1.0:
            total += final - 1.0
    return total / x.shape[0]


def roots(x, sigma):
    """Two ways to fail: which one comes first is told by the elements."""
    y = np.empty(x.shape[0])
    s = 0.0
    for i in range(x.shape[0]):
        y[i] = math.sqrt(x[i]) / (x[i] - sigma)
        s -= math.log(x[i] + 3.0) * sigma
    return s + y[0]


LATE = [call, roots]


def written(x, sigma):
    """The caller sees how far the loop came."""
    for i in range(x.shape[0]):
        x[i] = math.exp(x[i] * sigma)
    return x[0]


def chained(x, sigma):
    """Every iteration needs the one before it."""
    s = 1.0
    for i in range(x.shape[0]):
        s = math.exp(0.001 * s) + x[i] * sigma
    return s


def itself(x, sigma):
    y = x * 1.0
    for i in range(x.shape[0]):
        y[i] = math.exp(y[i] * sigma)
    return y[1]


def indexed(x, sigma):
    """An access out of range may not come before its check."""
    s = 0.0
    for i in range(x.shape[0]):
        s += x[int(math.sqrt(x[i] * x[i]) * sigma)]
    return s


KEPT = [written, chained, itself, indexed]


def outcome(f, *args):
    try:
        return f(*args)
    except (ArithmeticError, ValueError, IndexError) as error:
        return type(error), str(error)


def inputs():
    good = np.linspace(0.5, 2.0, 21)
    yield good, 0.25
    yield np.ones(2), 0.125
    for at, bad in ((13, -1.0), (0, 1e4), (20, np.nan), (7, 0.25), (3, -5.0)):
        x = good.copy()
        x[at] = bad
        yield x, 0.25
    x = good.copy()
    x[4], x[5], x[17] = 0.25, -1.0, 1e4
    yield x, 0.25
    yield x[::-1].copy(), 0.25
    yield good * 1e3, 1.0


@pytest.mark.parametrize("f", [*LATE, *KEPT], ids=lambda f: f.__name__)
def test_what_comes_late(f):
    fn = sums(staged_function(f, (np.linspace(0.5, 2.0, 21), 0.25), {}).function)
    assert (looks(verify(late(fn))) < looks(fn)) == (f in LATE)
    assert looks(optimise(fn, parallel=True)) == looks(fn)


@pytest.mark.parametrize("f", [*LATE, *KEPT], ids=lambda f: f.__name__)
def test_values_and_failures(f):
    fast = tl.jit(f, cache=False)
    for x, sigma in inputs():
        a, b = x.copy(), x.copy()
        got, want = outcome(fast, a, sigma), outcome(f, b, sigma)
        if isinstance(want, tuple):
            assert got == want
        else:
            np.testing.assert_allclose(got, want, rtol=1e-12)
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("f", [*LATE, chained, itself], ids=lambda f: f.__name__)
def test_derivatives_and_failures(f):
    both = tl.value_and_grad(f, argnums=(0, 1))
    fast = tl.jit(both, cache=False)
    for x, sigma in inputs():
        got, want = outcome(fast, x, sigma), outcome(both, x, sigma)
        if isinstance(want[0], type):
            assert got == want
        else:
            np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
            np.testing.assert_allclose(got[1][0], want[1][0], rtol=1e-11)
            np.testing.assert_allclose(got[1][1], want[1][1], rtol=1e-11)


def test_no_iterations():
    assert tl.jit(roots, cache=False)(np.ones(3), 0.5) == roots(np.ones(3), 0.5)
    with pytest.raises(ZeroDivisionError):
        tl.jit(call, cache=False)(np.ones(0), 0.5)
