"""Exceptions raised deep in a recursion and caught: outside it, by the function itself, on the way out."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.staging import stage


def failing(x, n):
    if n < 0:
        raise ValueError("below")
    if n == 0:
        if x > 100.0:
            raise ArithmeticError("too big", x)
        return 1.0 / (x - 8.0)
    return failing(x * 2.0, n - 1)


def caught_outside(x, n):
    try:
        return failing(x, n)
    except ZeroDivisionError:
        return x * 2
    except ArithmeticError as error:
        return error.args[1] * 0.1
    except ValueError:
        return -x


def caught_inside(x, n):
    if n == 0:
        if x > 3.0:
            raise ValueError("big")
        return x * x
    try:
        return caught_inside(x * 1.5, n - 1) + x
    except ValueError:
        return x * 0.25 + caught_inside(x * 0.3, n - 1)


def summing(to, x, n):
    try:
        if n == 0:
            if x > 2.0:
                raise ValueError("big")
            return x
        return summing(to, x * 1.3, n - 1) * 2
    finally:
        to[0] += x


def on_every_way_out(x, n):
    to = [0.0]
    try:
        made = summing(to, x, n)
    except ValueError:
        made = 7.0 * x
    return made + to[0]


def look(a, i, x):
    if a[i] > x:
        raise StopIteration(i)
    if i + 1 < len(a):
        look(a, i + 1, x * 1.1)


def found(x, n):
    a = np.array([0.1, 0.5, 0.9, 1.4])
    try:
        look(a, n, x)
    except StopIteration as error:
        return a[error.args[0]] * x
    return -x


def store(a, x, n):
    a[n] = x
    if n == 0:
        raise ValueError
    store(a, x * 1.1, n - 1)
    a[n] += 1.0


def half_done(x, n):
    a = np.zeros(5)
    try:
        store(a, x, n)
    except ValueError:
        a[4] = 1.0
    except IndexError:
        return x
    return a.sum() * x


CASES = [
    (caught_outside, [(1.5, 3), (1.0, 3), (40.0, 3), (1.0, -1)]),
    (caught_inside, [(0.5, 3), (1.2, 3), (2.5, 4), (0.1, 0)]),
    (on_every_way_out, [(0.5, 3), (1.2, 3), (2.5, 2)]),
    (found, [(0.2, 0), (0.8, 1), (2.0, 0)]),
    (half_done, [(0.3, 3), (0.3, 0), (0.3, 7)]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_caught(case):
    f, calls = case
    slope = tl.grad(f)
    fast, fast_slope, fast_twice = tl.jit(f), tl.jit(slope), tl.jit(tl.grad(slope))
    assert not stage(f, calls[0]).known
    for x, n in calls:
        np.testing.assert_allclose(fast(x, n), f(x, n), rtol=1e-12)
        np.testing.assert_allclose(fast_slope(x, n), slope(x, n), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(fast_twice(x, n), tl.grad(slope)(x, n), rtol=1e-11, atol=1e-11)


def test_not_caught():
    """What a function that catches some of its exceptions lets through leaves as it does in Python."""
    with pytest.raises(ValueError, match="big"):
        tl.jit(caught_inside)(40.0, 0)
    with pytest.raises(ValueError, match="big"):
        tl.jit(caught_inside)(1e6, 3)


def test_a_change_in_a_branch_before_a_call_of_itself():
    def go(to, x, n):
        if x > 0.5:
            to[0] += x
            return go(to, x * 0.8, n - 1) + to[0] if n else to[0]
        return x if n == 0 else go(to, x * 1.3, n - 1) * to[0]

    def top(x, n):
        to = [0.25]
        return go(to, x, n) + to[0]

    for x in (0.2, 0.45, 0.9):
        np.testing.assert_allclose(tl.jit(top)(x, 5), top(x, 5), rtol=1e-12)
        np.testing.assert_allclose(tl.jit(tl.grad(top))(x, 5), tl.grad(top)(x, 5), rtol=1e-12)
