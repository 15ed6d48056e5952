"""Comprehensions: list, set, dict, nested, conditional, and their scopes."""

import math

import numpy as np
import pytest

from checking import check


def squares(x):
    return sum([x**i * i for i in range(5)])


def conditional(x):
    kept = [v * v for v in [x, -x, 2.0 * x, 0.1] if v > 0.2 if v < 5.0]
    return sum(kept) + len(kept)


def two_loops(x):
    return sum([x**i * j for i in range(3) for j in range(i, 4) if (i + j) % 2])


def inner_list(x):
    table = [[math.sin(i * x + j) for j in range(3)] for i in range(2)]
    return [sum(row) for row in table] + [sum(table[1][::-1])]


def dictionary(x):
    d = {f"k{i}": x * i + 1.0 for i in range(4) if i != 2}
    e = {k: v * v for k, v in d.items()}
    return sum(e.values()) * d["k3"]


def sets(x):
    return sum({i % 3 for i in range(7)}) * x + sum(sorted({x, 2.0 * x, x}))


def shadowed(x):
    i = x
    values = [i * i for i in (1.0, 2.0, x)]
    return i * sum(values)


def unpacked(x):
    pairs = [(x, 2.0), (3.0, x * x)]
    first, *rest = [a * b for a, b in pairs]
    return first + sum(rest) + sum(a for a, (b, c) in [(x, (1.0, x))] for _ in [b, c])


def calls_inside(x):
    def f(v):
        return v * x if v > 1.0 else v + x

    return max([f(v) for v in (0.5, 1.5, 2.5)]) + sum(f(f(v)) for v in (0.1, 4.0))


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        squares,
        conditional,
        two_loops,
        inner_list,
        dictionary,
        sets,
        shadowed,
        unpacked,
        calls_inside,
    ],
)
def test_comprehensions(program, x):
    check(program, x)


def rows(a):
    return np.array([np.sum(row * row) for row in a if row[0] > 0])


def stacked(a):
    return np.stack([a[i] * a[j] for i in range(len(a)) for j in range(i)])


def test_comprehensions_of_arrays():
    a = np.array([[0.3, -0.8], [0.5, 0.1], [-0.2, 0.9]])
    check(rows, a)
    check(stacked, a)
