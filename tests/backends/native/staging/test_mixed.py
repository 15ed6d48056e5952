"""Numbers of one class on some paths, of another on others: results have the class that Python gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


def counted(x, n):
    s = 0
    for _ in range(n):
        s = s + x
    return s


def halved(x, n):
    s = 1
    while n > 0:
        s = s * x
        n -= 1
    return s


def numpy_total(x, n):
    s = 0.0
    while n > 0:
        s, n = s + np.float64(x), n - 1
    return s


def best(x, n):
    found = 0
    for i in range(n):
        if x - i > found:
            found = x - i
    return found


def largest(x, n):
    return max(0, x - n), min(x, n), max(x, 2, 3.0), max(0, 1, n)


def in_a_branch(x, n):
    s = 0
    if n > 2:
        s = x
    return s


def of_a_condition(x, n):
    return (x if n > 1 else 1), (np.float64(x) if n > 1 else x), (n if n > 1 else True)


def three_classes(x, n):
    s = True
    if n == 1:
        s = 2
    elif n == 2:
        s = x
    elif n == 3:
        s = np.float64(x)
    return s


def computed_with(x, n):
    s = 0 if n < 2 else x
    t = 3 if n < 1 else x
    return (
        s + 1,
        s * 2 - 1,
        -s,
        +s,
        abs(s),
        s / 2,
        s // 2,
        s % 2,
        s**2,
        s + t,
        s * t,
        2**t,
        s + x,
        s < t,
        not s,
    )


def computed_with_truths(x, n):
    s = True if n < 2 else 5
    return s + 1, -s, s * 2, s & 3, abs(s), s / 2, s + x


def computed_with_numpy(x, n):
    s = x if n < 2 else np.float64(x)
    return s + 1, s * x, -s, abs(s), s**2, s + np.float64(1), np.sqrt(abs(s)), s * np.ones(2)


def divided(x, n):
    s = 0.0 if n < 2 else np.float64(0)
    return x / s


def in_containers(x, n):
    s = 0 if n < 2 else x
    return [s, (s, 1.0)], {"s": s}


def in_an_object(x, n):
    box = {"s": 0, "t": [0]}
    while n > 0:
        box["s"] += x
        box["t"][0] = x if n > 2 else n
        n -= 1
    return box


def restarted(x, n):
    s = 0
    for i in range(n):
        s = 0 if i == 1 else s + x
    return s


def left_early(x, n):
    s = 0
    for i in range(n):
        if i > 1:
            break
        if x > 100:
            return s
        s = s + x
    return s


def turned_back(x, n):
    s, t = 0, x
    while n > 0:
        s, t, n = t, s, n - 1
    return s, t


def nested(x, n):
    s = 0
    for i in range(n):
        for j in range(i):
            if j > 0:
                s = s + x
    return s


def optional(x, n):
    s = None
    if n == 1:
        s = 1
    elif n == 2:
        s = x
    return s if s is not None else -1


def maybe_none(x, n):
    s = None
    if n > 0:
        s = 1 if n > 1 else x
    return s


def asked(x, n):
    s = 0 if n < 2 else x
    return isinstance(s, int), type(s) is float, isinstance(s, (int, float))


def written(x, n):
    s = 0 if n < 2 else x
    return f"{s} {s:5.1f}" + str(s)


def stored_in_an_array(x, n):
    s = 0 if n < 2 else x
    a = np.zeros(2)
    a[0] = s
    return a * s, np.array([s, 1.0]), np.arange(2) * s


def given_to_numpy(x, n):
    s = 0 if n < 2 else x
    small = (
        np.sqrt(abs(s)),
        np.maximum(s, 1),
        np.add(s, n),
        np.float64(s),
        np.where(n > 0, s, 2),
        np.square(s),
    )
    return small, np.array([s, s]), np.full(2, s), np.sum([s, 1])


def called(x, n):
    def twice(v):
        return v + v

    return twice(0 if n < 2 else x)


def learned_outside(x, n):
    s, t = 1, (1, 2)
    for j in range(n):
        w = n
        while w > 0:
            w -= 1
            if j > 1:
                s, t = n, (n, n)
        s = x * (abs(s) + x)
        t = (t[0] * x, t[1] + 1)
    return s, t


def summed(x, n):
    return sum([x] * (1 if n > 1 else 0)), sum(x for i in range(n) if i > 0)


def many_steps(x, n):
    s, best, k = 0, 0, 0
    while n > 0:
        s = s + n if n % 2 else s - x
        best = max(best, s)
        k += best > 1
        n -= 1
    return s, best, k


PROGRAMS = [
    counted, halved, numpy_total, best, largest, in_a_branch, of_a_condition, three_classes, computed_with,
    computed_with_truths, computed_with_numpy, divided, in_containers, in_an_object, restarted, left_early,
    turned_back, nested, optional, maybe_none, asked, written, stored_in_an_array, given_to_numpy, called,
    learned_outside, summed, many_steps,
]  # fmt: skip


def told(value):
    """A result with the class of every number in it."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(told, value))
    if isinstance(value, dict):
        return {k: told(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    return type(value), value


def outcome(f, *args):
    try:
        with np.errstate(all="ignore"):
            return told(f(*copy.deepcopy(args)))
    except ArithmeticError as error:
        return type(error)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_classes_of_results(f):
    compiled = tl.jit(f)
    for x in 2.5, -1.5:
        for n in (*range(5), 0):
            assert outcome(compiled, x, n) == outcome(f, x, n), (x, n)


@pytest.mark.parametrize(
    "f", [halved, best, in_a_branch, called, numpy_total, left_early], ids=lambda f: f.__name__
)
def test_values_beside_gradients(f):
    both = tl.jit(tl.value_and_grad(f))
    for n in range(4):
        value, slope = both(2.5, n)
        assert told(value) == told(f(2.5, n))
        assert slope == pytest.approx(tl.grad(f)(2.5, n))
    value, slope = tl.jit(lambda x, n: tl.jvp(lambda x: f(x, n), (x,), (1.0,)))(2.5, 3)
    assert (told(value), slope) == (told(f(2.5, 3)), pytest.approx(tl.grad(f)(2.5, 3)))


def test_floats_are_not_rounded_to_single_precision():
    def f(x, n):
        s = np.float32(1)
        if n > 1:
            s = x
        return s

    with pytest.raises(NotCompilable, match="float32"):
        tl.jit(f)(0.1, 2)

    def total(x):
        s = 0.0
        for v in x:
            s += v
        return s

    x = np.arange(3, dtype=np.float32)
    assert told(tl.jit(total)(x)) == told(total(x))
