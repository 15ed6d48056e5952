"""Iterators in compiled programs: gone through once, and from where they stopped, or refused."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import NotCompilable


def numbers(x, n):
    for k in range(n):
        yield x + k


def on_each_path(x):
    it = numbers(x, 3)
    return sum(it) if x > 0.5 else 2.0 * sum(it)


def in_pieces(x):
    it = iter([x, 2.0 * x, 3.0 * x])
    total = next(it)
    for v in it:
        total += v * v
    for _ in it:
        total += 100.0
    return total


def one_a_turn(x, n):
    it = iter([x, 2.0 * x, 3.0 * x, 4.0 * x])
    total = 0.0
    for _ in range(n):
        total += next(it) ** 2
    return total


def mapped_once(x):
    it = map(lambda v: v * x, [1.0, 2.0, 3.0])
    return sum(list(it)) + sum(it) + sum(map(math.sin, [x, x * x]))


def of_an_array(a):
    it = iter(a)
    total = next(it)
    for v in it:
        total = total * v + 1.0
    return total


def tells(v):
    print("asked for", v)
    return v * v


def lazily(x):
    total = 0.0
    for v in map(tells, [x, 2.0 * x]):
        print("got", v)
        total += v
    for k, v in enumerate(map(tells, [x])):
        print(k, v)
    map(tells, [x])
    return total


def bounded(x, xs):
    small = any(v > 1.0 for v in xs)
    return x * x if small or all(map(lambda v: v > -1.0, xs)) else x


@pytest.mark.parametrize(
    ("f", "rest"),
    [(on_each_path, ()), (in_pieces, ()), (one_a_turn, (3,)), (mapped_once, ()), (lazily, ()),
     (bounded, ((0.5, 2.0),))],
)  # fmt: skip
def test_iterators(f, rest):
    for x in (0.3, 0.7):
        check(lambda x: f(x, *rest), x, native=True)


def test_an_iterator_over_an_array():
    check(of_an_array, np.linspace(0.1, 0.9, 40), native=True)


def some_paths(x):
    it = iter([x, 2.0 * x, 3.0 * x])
    if x > 0.5:
        next(it)
    return next(it)


def many_loops(x, a):
    it = numbers(x, 3)
    total = 0.0
    for v in a:
        total += sum(it) + v
    return total


def two_at_once(x):
    it = iter([x, 2.0 * x])
    return sum(a * b for a, b in zip(it, it, strict=True))


def left_half_way(x):
    it = iter([x, 2.0 * x, 3.0 * x])
    for v in it:
        if v > 0.4:
            break
    return next(it)


def list_that_changes(x):
    xs = [x]
    it = iter(xs)
    xs.append(2.0 * x)
    return sum(it)


def stops_early(x):
    return x if any(math.sqrt(v) > 1.0 for v in (4.0 * x, -x)) else 2.0


A = np.linspace(0.0, 1.0, 40)


@pytest.mark.parametrize(
    ("f", "args"),
    [(some_paths, (0.3,)), (many_loops, (0.3, A)), (two_at_once, (0.3,)), (left_half_way, (0.3,)),
     (list_that_changes, (0.3,)), (stops_early, (0.7,))],
)  # fmt: skip
def test_what_is_not_known_is_refused(f, args):
    with pytest.raises(NotCompilable):
        tl.jit(f)(*args)
    assert tl.jit(f, fallback=True)(*args) == f(*args)
