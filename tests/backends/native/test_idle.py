"""Reverse loops skip the iterations that no cotangent passes through, and only those."""

import math

import numpy as np
import pytest

import tapeless as tl

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def nearest(x, y):
    total = 0.0
    for i in range(x.shape[0]):
        best = np.inf
        for j in range(y.shape[0]):
            distance = (x[i] - y[j]) * (x[i] - y[j]) * math.exp(0.1 * y[j])
            if distance < best:
                best = distance
        total += best * x[i]
    return total


def last_in_else(x, y):
    """The other side of the branch overwrites; the value before the loop may be the one."""
    seen = x[0] * y[0]
    for j in range(y.shape[0]):
        new = y[j] * y[j] * x[1]
        if new > 1.5:
            pass
        else:
            seen = new * x[2]
    return seen * seen


def inner_loop(x, y):
    best = -np.inf
    for j in range(y.shape[0]):
        s = 0.0
        for i in range(x.shape[0]):
            s += x[i] * y[j] * (x[i] + y[j])
        if s > best:
            best = s
    return best


def fading(x, y):
    """What is handed on changes where it is not overwritten."""
    best = x[0]
    for j in range(y.shape[0]):
        d = y[j] * y[j] * x[1]
        if d < best:
            best = d
        else:
            best = best * x[2]
    return best


SKIPPED = [nearest, last_in_else, inner_loop, fading]


def watched(x, y):
    """Every value on the way counts."""
    best, total = 10.0, 0.0
    for j in range(y.shape[0]):
        d = (x[0] - y[j]) * (x[0] - y[j])
        if d < best:
            best = d
        total += best
    return total


def blended(x, y):
    """The new value keeps a part of the old one."""
    best = 10.0
    for j in range(y.shape[0]):
        d = (x[0] - y[j]) * (x[0] - y[j])
        if d < best:
            best = 0.75 * d + 0.25 * best
    return best


def beside(x, y):
    """A second sum goes on after the last choice."""
    best, s = np.inf, 0.0
    for j in range(y.shape[0]):
        d = (x[0] - y[j]) * (x[0] - y[j])
        s += d * y[j]
        if d < best:
            best = d
    return best + s


def two(x, y):
    """Two values, overwritten in different iterations."""
    low, high = np.inf, -np.inf
    for j in range(y.shape[0]):
        d = x[0] * y[j] * y[j] + y[j]
        if d < low:
            low = d
        if d > high:
            high = d * x[1]
    return high * low


OTHERS = [watched, blended, beside, two]


def points(seed, n=4, m=7):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, n), rng.uniform(-1.5, 1.5, m)


@pytest.mark.parametrize("program", [*SKIPPED, *OTHERS])
@pytest.mark.parametrize("m", [0, 1, 2, 7])
def test_derivatives_are_those_of_python(program, m):
    compiled = tl.jit(tl.value_and_grad(program, argnums=(0, 1)))
    for seed in range(6):
        x, y = points(seed, m=max(m, 1))
        y = y[:m] if program is not last_in_else else y
        value, (gx, gy) = compiled(x, y)
        expected, (ex, ey) = tl.value_and_grad(program, argnums=(0, 1))(x, y)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(gx, ex, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(gy, ey, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("program", [*SKIPPED, *OTHERS])
def test_second_derivatives(program):
    """Also where the cotangent that is handed on happens to be zero, and its derivative is not."""

    def centred(x, y, c):
        return 0.5 * (program(x, y) - c) ** 2

    twice = tl.jit(tl.hessian(centred, argnums=1))
    back = tl.jit(tl.grad(lambda x, y, c: np.sum(tl.grad(centred, 1)(x, y, c) * np.cos(y)), 1))
    for seed in range(3):
        x, y = points(seed)
        c = program(x, y)
        np.testing.assert_allclose(
            twice(x, y, c), tl.hessian(centred, argnums=1)(x, y, c), rtol=1e-9, atol=1e-11
        )
        expected = tl.grad(lambda x, y, c: np.sum(tl.grad(centred, 1)(x, y, c) * np.cos(y)), 1)(x, y, c)
        np.testing.assert_allclose(back(x, y, c), expected, rtol=1e-9, atol=1e-11)


def test_ties_go_to_the_first():
    x, y = np.array([0.0]), np.array([1.0, -1.0, 1.0])
    for f in (tl.grad(watched, 1), tl.grad(inner_loop, 1), tl.grad(nearest, 1)):
        np.testing.assert_array_equal(tl.jit(f)(x, y), f(x, y))


def test_partials_of_what_is_not_chosen_may_be_infinite():
    def least(x):
        best = np.inf
        for i in range(x.shape[0]):
            d = 3.0 - math.sqrt(x[i])
            if d < best:
                best = d
        return best

    x = np.array([0.0, 4.0, 0.0])
    np.testing.assert_array_equal(tl.jit(tl.grad(least))(x), [0.0, -0.25, 0.0])


@pytest.mark.parametrize("program", [*SKIPPED, *OTHERS])
def test_which_loops_skip(program):
    text = tl.compiled(tl.grad(program, argnums=(0, 1)), *points(0))
    assert ("alive" in text) == (program in SKIPPED)
