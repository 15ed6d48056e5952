"""Loops over generators, compiled: their bodies run where the generator gives a value."""

import numpy as np
import pytest

import tapeless as tl

from .orders import check_orders, check_other_arguments
from .staged import outcome

X = np.array([0.7, 1.3, 0.4, 2.1])


def logging(x):
    log = []

    def given(n):
        for i in range(n):
            log.append(x[i])
            yield x[i] ** 2

    total = 0.0
    for v in given(len(x)):
        total = total + v * len(log)
    return total + sum(log)


def changing(x):
    y = x.copy()

    def given():
        for i in range(len(y)):
            y[i] *= 2
            yield y[i]

    total = 0.0
    for v in given():
        if v < 1.0:
            continue
        total = total + v * y[0]
    return total


def newton(v, a):
    while True:
        v = 0.5 * (v + a / v)
        yield v


def without_end(x):
    last, n = 1.0, 0
    for v in newton(1.0, x[0] ** 2 + x[1] ** 2):
        n += 1
        if abs(v - last) < 1e-12:
            break
        last = v
    else:
        last = 100.0
    return last * x[2] + n


def inside_another(x):
    def walk(a, k):
        yield a
        if k:
            yield from walk(a * 0.5, k - 1)
        yield a * a

    total = 0.0
    for i, v in enumerate(walk(x[0], 2)):
        total = total * x[1] + i * v
    return total


def pairs(x):
    def given():
        for i in range(len(x)):
            for j in range(i):
                yield i, j

    total, best, at = 0.0, -1.0, 0
    for i, j in given():
        d = (x[i] - x[j]) ** 2
        if d > best:
            best, at = d, i
        total = total + d * j
    return total + best * at


def states(x):
    def steps():
        y, t = x.copy(), 0.0
        while t < 1.0:
            y = y - 0.1 * y**3
            t += 0.1
            yield t, y

    out = []
    for t, y in steps():
        out.append(y[0] * t)
    return sum(out) + y.sum()


def returning(x):
    def given():
        for v in x:
            yield v + 0.0

    for k, v in enumerate(given(), 3):
        if v > 1.0:
            return v * v * k
    return 0.0


PROGRAMS = [logging, changing, without_end, inside_another, pairs, states, returning]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_generators(f):
    check_orders(f, X)
    check_other_arguments(f, X, X[::-1].copy(), X * X)


def beyond(x):
    def given(n):
        for i in range(n):
            yield x[i]

    total = 0.0
    for v in given(6):
        total += v
    return total


def test_exceptions():
    assert outcome(tl.jit(beyond), (X,)) == outcome(beyond, (X,))


def test_refused():
    def closing(x):
        def given():
            try:
                yield x[0]
            except ValueError:
                yield x[1]

        total = 0.0
        for v in given():
            total += v
        return total

    with pytest.raises(tl.TapelessError, match="inside `try` or `with`"):
        tl.jit(closing)(X)


def test_used_again():
    def given(x):
        yield from (x, x * 2.0, x * 3.0)

    def inside_its_own_loop(x):
        total, values = 0.0, given(x)
        for v in values:
            for w in values:
                total += v * w
        return total

    def after_a_break(x):
        total, values = 0.0, given(x)
        for v in values:
            if v > 1.0:
                break
            total += v
        return total + sum(values)

    def after_an_exception(x):
        total, values = 0.0, given(x)
        try:
            for v in values:
                if v > 1.0:
                    raise ValueError
                total += v
        except ValueError:
            pass
        for v in values:
            total += 10 * v
        return total

    def after_its_end(x):
        total, values = 0.0, given(x)
        for v in values:
            total += v * v
        for _ in values:
            total += 100
        return total + sum(values)

    for f in (inside_its_own_loop, after_a_break, after_an_exception):
        with pytest.raises(tl.TapelessError, match="used again|used on several paths"):
            tl.jit(f)(0.7)
    assert tl.jit(after_its_end)(0.7) == pytest.approx(after_its_end(0.7), rel=1e-14)


def doubled(x):
    for v in x:
        yield 2.0 * v


def left_by_zip(x):
    total, left = 0.0, doubled(x)
    for k, (a, b) in enumerate(zip(left, doubled(x), strict=False)):
        if k == 1:
            break
        total += a * b
    return total + sum(left)


def zipped_with_fewer(x):
    left = doubled(x)
    return sum(u * v for u, v in zip([1.0, 2.0], left, strict=False)) + 3.0 * sum(left)


def searched(x):
    left = doubled(x)
    return float(2.6 in left) + sum(left)


def searched_iterator(x):
    left = iter([2.0 * v for v in x])
    return float(2.6 in left) + sum(left)


def asked_for_any(x):
    left = doubled(x)
    return float(any(left)) + sum(left)


def asked_for_all(x):
    left = doubled(x)
    return float(all(v < 1.5 for v in left)) + sum(left)


@pytest.mark.parametrize(
    "f",
    [left_by_zip, zipped_with_fewer, searched, searched_iterator, asked_for_any, asked_for_all],
    ids=lambda f: f.__name__,
)
def test_what_is_left_of_a_generator_is_never_taken_for_nothing(f):
    try:
        got = tl.jit(f)(list(X))
    except tl.errors.NotCompilable:
        return
    assert got == pytest.approx(f(list(X)), rel=1e-14)


def listed_twice(x):
    left = doubled(x)
    return sum(list(left)) + sum(left)


def test_a_generator_that_is_exhausted_gives_nothing():
    assert tl.jit(listed_twice)(list(X)) == pytest.approx(listed_twice(list(X)), rel=1e-14)
