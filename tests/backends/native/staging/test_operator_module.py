"""Functions that the `operator` module makes, made by the program."""

import operator
from operator import attrgetter, itemgetter, methodcaller

import pytest

import tapeless as tl


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def scaled(self, by, shift=0.0):
        return (self.x + self.y) * by + shift


def items(x, k):
    pairs = [(x, 2.0), (0.5, 3.0 * x)]
    table = {"a": x, "b": x * x, "c": 3.0}
    a, c = itemgetter("a", "c")(table)
    total = sum(map(itemgetter(1), pairs)) + itemgetter(k)(pairs)[0] + a * c
    return total * sorted(pairs, key=itemgetter(0))[0][1] + max(table.items(), key=itemgetter(1))[1]


def attributes(x, k):
    points = [Point(x, k), Point(k, x * x)]
    xs, ys = zip(*map(attrgetter("x", "y"), points), strict=True)
    best = max(points, key=attrgetter("y"))
    return sum(xs) * sum(ys) + best.x + sum(map(methodcaller("scaled", x, shift=1.0), points))


def stored(x, k):
    values = [x, x * x]
    operator.setitem(values, k, x * 5.0)
    return operator.getitem(values, 0) + values[1]


@pytest.mark.parametrize("program", [items, attributes, stored])
def test_functions_of_the_operator_module(program):
    assert tl.jit(program)(1.7, 1) == pytest.approx(program(1.7, 1), rel=1e-12)
    slope = tl.jit(tl.grad(program))
    for x in (1.7, 0.3):
        assert slope(x, 1) == pytest.approx(tl.grad(program)(x, 1), rel=1e-12)
        assert slope(x, 1) == pytest.approx((program(x + 1e-6, 1) - program(x - 1e-6, 1)) / 2e-6, rel=1e-6)


def by_key(x, k):
    return itemgetter(k)([x, x * x]) * k


def test_a_key_of_run_time_is_fixed():
    fast = tl.jit(by_key)
    for k in (0, 1, 0, 1):
        assert fast(0.6, k) == by_key(0.6, k)
